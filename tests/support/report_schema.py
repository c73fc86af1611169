"""Every report that the tests make is held against configs/report.schema.json.

The schema that ships leaves room for fields that a later version adds; here a field that it does not describe is an error.
"""

import json
from functools import cache
from importlib import import_module

from jsonschema import Draft202012Validator

from verify.resources import REPORT_SCHEMA

MADE_BY = (
    ("verify.results.clips", "ClipsReport"),
    ("verify.results.comparison", "ComparisonReport"),
    ("verify.results.sweep", "SweepReport"),
    ("verify.results.votes", "VotesReport"),
    ("verify.report.env", "EnvironmentReport"),
    ("verify.report.explain", "ExplanationReport"),
    ("verify.report.profiles", "Listing"),
)


def closed(schema):
    """Return the schema without room for properties that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {name: closed(value) for name, value in schema.items()}
    return {"additionalProperties": False, **shut} if isinstance(shut.get("properties"), dict) else shut


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(closed(json.loads(REPORT_SCHEMA.read_text(encoding="utf-8"))))


def hold(document) -> None:
    """Hold a report, as a reader of its file sees it, against the schema."""
    faults = [
        f"{fault.json_path}: {fault.message[:300]}"
        for fault in validator().iter_errors(json.loads(json.dumps(document)))
    ]
    assert not faults, f"describe it in configs/report.schema.json: {faults}"


def hold_all(patch) -> None:
    """Hold each report against the schema as soon as it becomes JSON."""
    from verify import document as documents
    from verify import result

    def described(make=documents.document, **parts):
        document = make(**parts)
        hold(document)
        return document

    for module in (documents, result):  # of what could not run, and of a result
        patch.setattr(module, "document", described)
    for module, name in MADE_BY:
        made_by = getattr(import_module(module), name)

        def checked(report, make=made_by.to_json):
            document = make(report)
            hold(document)
            return document

        patch.setattr(made_by, "to_json", checked)
