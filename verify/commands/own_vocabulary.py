"""Plan one of several models: `--vocab` is for all of them, but what lies beside a model wins where that does not fit it."""

from contextlib import suppress
from dataclasses import replace

from verify.errors import Cause, ConversionError
from verify.options import Job
from verify.plan import Plan, plan

_HINT = "Put its own vocab.json beside it: that is used for it where --vocab does not fit."


def plan_one_of(job: Job) -> Plan:
    """Return the plan of one of several models, with its own vocabulary where `--vocab` fits only the others.

    Raises:
        ConversionError: the source cannot be used.
    """
    planned = plan(job)
    if job.vocab is None or fits(planned):
        return planned
    with suppress(ConversionError):
        own = plan(replace(job, vocab=None))
        if fits(own):
            return replace(own, causes=(*own.causes, _used(job, own)))
    # To pass another --vocab would mend this model and break the others.
    causes = [replace(cause, hint=_HINT) if cause.code == "vocab-rows" else cause for cause in planned.causes]
    return replace(planned, causes=tuple(causes))


def fits(planned: Plan) -> bool:
    """Whether the vocabulary has as many tokens as the weights have rows; where nothing tells, it does."""
    rows = planned.architecture.fields.get("gpt_number_text_tokens")
    return rows is None or (planned.vocabulary is not None and planned.vocabulary.size == rows)


def _used(job: Job, own: Plan) -> Cause:
    vocab, rows = own.source.vocab, own.architecture.fields.get("gpt_number_text_tokens")
    where = f"{vocab.path} ({vocab.origin})" if vocab else ""
    message = (
        f"{job.vocab} (--vocab) does not fit the {rows:,} text rows of this model: {where} does, and is used for it"
    )
    return Cause(code="vocab-own", severity="note", message=message)
