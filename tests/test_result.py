"""The result of a run: one value that each stage adds to, and shares with none before it."""

import pytest

from tests.support import report_schema
from verify import Job
from verify.commands.steps import with_seconds
from verify.document import cause_as_json
from verify.plan import plan
from verify.progress import Silent, Stopwatch
from verify.result import Result


def test_the_seconds_of_a_result_stay_what_they_were_when_it_was_made(genuine_checkpoint):
    clock = Stopwatch(Silent())
    first = Result.of(plan(Job(source=genuine_checkpoint)))
    with clock.step("write", "writing"):
        second = with_seconds(first, clock)
    third = with_seconds(second, clock)
    assert [*first.seconds] == [*second.seconds] == ["read"]
    assert [*third.seconds] == ["read", "write"]


def test_a_result_says_what_the_plan_says(genuine_checkpoint):
    planned = plan(Job(source=genuine_checkpoint))
    document = Result.of(planned).to_json()
    assert document["causes"] == [cause_as_json(cause) for cause in planned.causes]
    assert document["source"]["path"] == str(genuine_checkpoint)
    assert [document[part] for part in ("load", "identical", "cast", "profile", "sample", "samples", "checks")] == [
        None
    ] * 7


def test_the_schema_finds_a_field_that_it_does_not_describe_and_one_of_another_kind(genuine_checkpoint):
    document = Result.of(plan(Job(source=genuine_checkpoint))).to_json()
    report_schema.hold(document)
    for part, value in (("source", {**document["source"], "colour": 1}), ("seconds", {"read": "long"}), ("novelty", 1)):
        with pytest.raises(AssertionError, match="describe it in"):
            report_schema.hold({**document, part: value})
    with pytest.raises(AssertionError, match="'checks' is a required property"):
        report_schema.hold({name: value for name, value in document.items() if name != "checks"})
