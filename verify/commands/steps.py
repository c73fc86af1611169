"""Steps that several commands take between the plan and the model: what it is to say, and whether its values can be used."""

from dataclasses import replace

from verify.audio import transcription
from verify.audio.prompts import Script, prepare
from verify.checkpoint import reader
from verify.checkpoint.tensor_stats import Scan, Values
from verify.diagnosis import components, weights_check
from verify.diagnosis.vocab_check import no_vocab
from verify.diagnosis.weights_check import value_causes, value_checks
from verify.plan import Plan
from verify.progress import Watch, timed
from verify.result import Result
from verify.source import base as bases


def script_of(planned: Plan) -> Script | None:
    """Refuse before the long work what would be refused after it: no vocabulary, nothing to say, no voice to say it in.

    Raises:
        SourceError: with what is missing.
    """
    job = planned.job
    if planned.vocabulary is None:
        raise no_vocab(planned.architecture, planned.source.searched)
    if not (job.verify and job.sample):
        return None
    if job.prove:
        components.require_provable(planned.ledger, planned.archive)
        weights_check.require_uncast(planned.ledger.written, job.dtype)
    script = prepare(job.texts, job.seeds, job.language, planned.source, planned.config, planned.vocabulary)
    return replace(script, whisper=transcription.locate(job.transcribe)) if job.transcribe else script


def judge_bytes(planned: Plan, scan: Scan, watch: Watch) -> Result:
    """Return the report with a cause for values that no model can use, and the checks of the others."""
    checks = value_checks(planned.ledger.written, scan, _base_values(planned, watch))
    return planned.report(
        causes=(*planned.causes, *value_causes(scan)), checks=checks, demanded=planned.job.demands(checks, heard=False)
    )


def _base_values(planned: Plan, watch: Watch) -> dict[str, Values]:
    """Return the values of the base's tensors that the source has otherwise, by canonical name."""
    changed = bases.differing(planned.ledger, planned.base) if planned.base else {}
    if not changed:
        return {}
    total = sum(record.bytes for record in changed.values())
    with watch.step("comparing with the base", total, "bytes") as progress, timed(planned.seconds, "base"):
        values = reader.scan_tensors(changed.values(), progress).values
    return {name: values[record] for name, record in changed.items() if record in values}
