"""The command `inspect`: what is in the source and what would happen to it. No torch, no writing."""

from dataclasses import replace

from verify.diagnosis.vocab_check import no_vocab
from verify.options import Job
from verify.plan import plan
from verify.result import Result


def inspect(job: Job) -> Result:
    """Return what is in the source and what would happen to it; a missing vocabulary is only a warning here.

    Raises:
        ConversionError: the source cannot be used.
    """
    planned = plan(job)
    causes = planned.foreseen()
    if planned.source.vocab is None:
        causes += (replace(no_vocab(planned.architecture, planned.source.searched).cause, severity="warning"),)
    return replace(Result.of(planned), causes=causes)
