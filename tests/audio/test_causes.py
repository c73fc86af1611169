"""One cause stands for all failed checks of sound: the one that explains the others, by rules in a table."""

import pytest

from tests.support.helpers import ROOT
from verify import resources
from verify.audio import causes, checks, gaps
from verify.checks import ONLY_WORDS, WORDS, Check, within

FAR = 1000.0
# What a harm makes fail, as `benchmarks/damage.py` and barely trained weights did, and the cause that a person would name.
# A figure where a rule asks for one.
HARMS = {
    "untrained": ({"trained values": FAR, "centred": FAR, "clean end": FAR, "speech share": 0.0, "DNSMOS overall": FAR, "stop token": FAR}, "sound-untrained"),
    "white noise alone": ({"clean start": FAR, "pitch": 0.0, "pitch range": 0.0, "voiced share": 0.0, "speech share": 0.0, "DNSMOS P.808": FAR}, "sound-noise"),
    "buzz alone": ({"flat tops": FAR, "repetition": 0.99, "pitch range": 0.0, "speech share": 0.0, "DNSMOS signal": FAR}, "sound-tone"),
    "silence": ({"audible": FAR, "level": FAR, "longest pause": FAR, "speech share": 0.0, "DNSMOS signal": FAR}, "sound-silence"),
    "speech under noise": ({"clean start": FAR, "clean end": FAR, "voiced share": 0.1, "DNSMOS background": 1.2, "DNSMOS overall": FAR}, "sound-background"),
    "backwards": ({"direction": -1.0, "DNSMOS overall": FAR}, "sound-backwards"),
    "shuffled": ({"seams": FAR, "DNSMOS signal": FAR}, "sound-clicks"),
    "clipped": ({"not clipped": FAR, "flat tops": FAR}, "sound-clipped"),
    "cut off": ({"clean end": FAR}, "sound-cut-off"),
    "never stops": ({"stop token": FAR, "pace": FAR, "repetition": FAR}, "sound-endless"),
    "NaN": ({"finite": FAR, "audible": FAR, "speech share": 0.0}, "sound-not-finite"),
    "other words": ({WORDS: FAR}, "sound-other-words"),
    "another voice": ({"reference voice": 0.1}, "sound-other-voice"),
}  # fmt: skip


def failed(name: str, measured: float = FAR) -> Check:
    return Check(name=name, ok=False, measured=measured, high=0.0, unit="")


@pytest.mark.parametrize("harm", HARMS)
def test_the_cause_that_explains_the_others_leads(harm):
    figures, code = HARMS[harm]
    found = [failed(name, figure) for name, figure in figures.items()]
    for order in (found, found[::-1]):
        cause = causes.diagnose(order)
        assert cause is not None
        assert cause.code == code


def test_too_short_is_cut_off_and_too_long_never_ends():
    for seconds, code in ((0.4, "sound-cut-off"), (40.0, "sound-endless")):
        cause = causes.diagnose([within("plausible length", seconds, 1.0, 9.0, "s")])
        assert cause is not None
        assert cause.code == code


def test_a_rule_may_ask_for_a_figure_of_a_check_that_passed():
    """Noise with a voice in it is noise behind a voice: silero-vad hears the voice, and its check passes."""
    noise = [failed(name) for name in ("clean start", "clean end", "voiced share", "DNSMOS background", "DNSMOS P.808")]
    for share, code in ((0.9, "sound-background"), (0.1, "sound-noise")):
        cause = causes.diagnose(noise, [within("speech share", share, 0.0, 1.0, "")])
        assert cause is not None
        assert cause.code == code


def test_every_sound_check_that_fails_alone_has_a_cause_and_every_rule_names_checks_and_causes_that_exist():
    from_code = {"plausible length", "pace", "stop token", "cached logits", "known tokens", "character error rate", "trained values", "reference voice", WORDS, ONLY_WORDS}  # fmt: skip
    of_gaps = {f"{figure} gap" for figure in (*gaps.gap_rows(), gaps.SIMILARITY)}
    known = {row.name for row in checks.rows()} | from_code | of_gaps
    assert causes.evidence() <= known
    assert {rule.cause for rule in causes.rules()} == set(causes.sound_causes())
    alone = {name for name in known - {"trained values"} if causes.diagnose([failed(name)]) is None}
    assert alone == set()


def test_what_is_not_of_sound_has_no_cause_here():
    assert causes.diagnose([failed("no zeroed weights")]) is None
    assert causes.diagnose([]) is None
    assert causes.diagnose([], [within("speech share", 0.0, 0.0, 1.0, "")]) is None


def test_the_page_of_causes_has_each_code_with_its_words():
    page = (ROOT / "docs" / "causes.md").read_text(encoding="utf-8")
    for code, row in resources.load("sound")["causes"].items():
        assert f"| `{code}` | {row['says']} | {row['next']} |" in page
