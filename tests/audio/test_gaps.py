"""Only the gap to the speaker's own recording counts: what decides, and what is excused."""

import pytest

from verify.audio import gaps
from verify.checks import Check, majority, within
from verify.findings import WordErrors
from verify.options import Job
from verify.results.held_out import Pair, gap_figures

OVERALL, LIMIT = "DNSMOS overall", 2.4


def overall(measured: float) -> Check:
    return within(OVERALL, measured, LIMIT, float("inf"), "1 to 5")


def held(own: Check, recorded: Check) -> tuple[Check, ...]:
    """Return the checks of a take that has its recording beside it."""
    found = gaps.gap_checks(gaps.figures([own]), gaps.figures([recorded]))
    return (*gaps.excused([own], found, frozenset([] if recorded.ok else [recorded.name])), *found)


@pytest.mark.parametrize(
    ("model", "recording", "decides"),
    [
        (3.0, 3.2, []),
        (2.3, 2.45, []),  # below the limit, and no further from the recording than chance puts it
        (2.0, 2.1, []),  # the recording fails as well: its trait
        (1.2, 2.1, [OVERALL, f"{OVERALL} gap"]),  # a bad recording is no excuse for noise
        (2.5, 3.6, [f"{OVERALL} gap"]),  # a clean model that is far below its speaker
    ],
)
def test_the_gap_decides_and_a_limit_that_the_recording_fails_too_does_not(model, recording, decides):
    checks = held(overall(model), overall(recording))
    demanded = Job(source="x").demands(checks, has_samples=True)
    assert [check.name for check in checks if not check.ok and check.name in demanded] == decides
    assert Job(source="x", expect="sound").demands(checks, has_samples=True) == frozenset()


def test_a_check_that_has_no_gap_is_excused_only_where_the_recording_fails_it():
    click = within("seams", 3.0, 0.0, 1.5, "a second")
    finite = within("finite", 9.0, 0.0, 0.0, "samples", basic=True)
    assert [check.excused for check in gaps.excused([click, finite], (), frozenset({"seams", "finite"}))] == [
        True,
        False,
    ]
    assert not gaps.excused([click], (), frozenset())[0].excused
    assert gaps.usual_failures([frozenset({"seams"}), frozenset({"seams", "pace"}), frozenset()]) == {"seams"}


def test_over_several_takes_a_check_is_excused_where_most_takes_have_no_fault_of_the_model():
    good, bad = (held(overall(own), overall(3.0)) for own in (2.9, 1.0))
    near, trait = (held(overall(own), overall(recorded)) for own, recorded in ((2.39, 2.6), (2.2, 2.3)))
    by_name = {check.name: check for check in majority([near, trait, bad])}
    assert (by_name[OVERALL].ok, by_name[OVERALL].excused) == (False, True)
    assert by_name[OVERALL].note.startswith("failed in 3 of 3; ")
    assert (by_name[f"{OVERALL} gap"].ok, by_name[f"{OVERALL} gap"].note) == (True, "failed in 1 of 3")
    assert not {check.name: check for check in majority([bad, bad, good])}[OVERALL].excused
    passing = {check.name: check for check in majority([good, good, trait])}[OVERALL]
    assert (passing.ok, passing.excused) == (True, False)


def test_each_figure_stands_beside_the_recordings_in_its_own_unit():
    pace, pitch = (within(name, value, 0, 100, "") for name, value in (("pace", 18.0), ("pitch", 240.0)))
    words = WordErrors(words=8, substitutions=1, deletions=1, insertions=0, last_word_heard=True)
    own = gaps.figures([overall(3.0), pace, pitch], words, speed=1.5)
    slow, low = (within(name, value, 0, 100, "") for name, value in (("pace", 10.0), ("pitch", 120.0)))
    recorded = gaps.figures([overall(3.5), slow, low], WordErrors(**{**words_of(words), "substitutions": 0}))
    pairs = [
        Pair(text=str(number), own=own, recorded=recorded, gaps=gaps.gap_checks(own, recorded)) for number in range(6)
    ]
    found = {figure.figure: figure for figure in gap_figures(pairs)}
    assert (found["pace"].model, found["pace"].gap, found["pace"].gap_unit) == (12.0, 20.0, "%")
    assert (found["pitch"].gap, found["pitch"].gap_unit, found["pitch"].ok) == (12.0, "semitones", False)
    assert (found["word error rate"].gap, found["word error rate"].ok) == (0.125, None)
    assert (found[OVERALL].least, found[OVERALL].greatest, found[OVERALL].takes) == (-0.5, -0.5, 6)


def words_of(words):
    return {
        name: getattr(words, name) for name in ("words", "substitutions", "deletions", "insertions", "last_word_heard")
    }
