"""One cause stands for all failed checks of sound: the one that explains the others, in the words of a table."""

import pytest

from tests.support.helpers import ROOT
from verify import resources
from verify.audio import causes, checks
from verify.checks import Check, within

FAR = 1000.0
# What a harm makes fail, as `benchmarks/damage.py` and barely trained weights did, and the cause that a person would name.
HARMS = {
    "untrained": (["trained values", "centred", "clean end", "speech share", "DNSMOS overall", "stop token"], "sound-untrained"),
    "white noise alone": (["clean start", "pitch", "pitch range", "voiced share", "speech share", "DNSMOS overall"], "sound-noise"),
    "buzz alone": (["flat tops", "repetition", "pitch range", "speech share", "DNSMOS signal"], "sound-tone"),
    "silence": (["audible", "level", "longest pause", "speech share", "DNSMOS signal"], "sound-silence"),
    "speech under noise": (["clean start", "clean end", "voiced share", "DNSMOS background", "DNSMOS overall"], "sound-background"),
    "backwards": (["direction", "DNSMOS overall"], "sound-backwards"),
    "shuffled": (["seams", "direction", "DNSMOS signal"], "sound-clicks"),
    "clipped": (["not clipped", "flat tops"], "sound-clipped"),
    "cut off": (["clean end"], "sound-cut-off"),
    "never stops": (["stop token", "pace", "repetition"], "sound-endless"),
    "NaN": (["finite", "audible", "speech share"], "sound-not-finite"),
    "other words": (["character error rate"], "sound-other-words"),
}  # fmt: skip


def failed(name: str) -> Check:
    return Check(name=name, ok=False, measured=FAR, high=0.0, unit="")


@pytest.mark.parametrize("harm", HARMS)
def test_the_cause_that_explains_the_others_leads(harm):
    names, code = HARMS[harm]
    for order in (names, names[::-1]):
        cause = causes.diagnose([failed(name) for name in order])
        assert cause is not None
        assert cause.code == code


def test_too_short_is_cut_off_and_too_long_never_ends():
    for seconds, code in ((0.4, "sound-cut-off"), (40.0, "sound-endless")):
        cause = causes.diagnose([within("plausible length", seconds, 1.0, 9.0, "s")])
        assert cause is not None
        assert cause.code == code


def test_every_sound_check_that_fails_alone_has_a_cause_and_every_cause_names_checks_that_exist():
    from_code = {"plausible length", "pace", "stop token", "cached logits", "known tokens", "character error rate", "trained values"}  # fmt: skip
    known = {row.name for row in checks.rows()} | from_code
    assert causes.evidence() <= known
    alone = {name for name in known - {"trained values"} if causes.diagnose([failed(name)]) is None}
    assert alone == set()


def test_what_is_not_of_sound_has_no_cause_here():
    assert causes.diagnose([failed("no zeroed weights")]) is None
    assert causes.diagnose([]) is None


def test_the_page_of_causes_has_each_code_with_its_words():
    page = (ROOT / "docs" / "causes.md").read_text(encoding="utf-8")
    for code, row in resources.load("sound")["causes"].items():
        assert f"| `{code}` | {row['says']} | {row['next']} |" in page
