"""The command `compare --votes`: read the files that listeners saved on the page of a comparison, and count them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify.errors import SourceError
from verify.results.votes import Vote, VotesReport, preferences
from verify.source.config import read_json

KIND = "xtts-verify votes"
_HINT = "Pass files that the button “Save my choices” of a compare.html or sweep.html wrote."


def count(files: Sequence[Path]) -> VotesReport:
    """Count the votes of all files together; one that says the same as another counts once.

    Raises:
        SourceError: a file holds no votes, or is of another comparison than the first.
    """
    saved = [(path, _read(path)) for path in files]
    first, document = saved[0]
    for path, other in saved[1:]:
        if other["comparison"] != document["comparison"]:
            raise SourceError(
                "other-votes",
                f"{path} is of another comparison than {first}: other clips were heard",
                "Count the files of each comparison by themselves.",
            )
    distinct = [other for number, (_, other) in enumerate(saved) if other not in [item for _, item in saved[:number]]]
    votes = tuple(vote for other in distinct for vote in _votes(other))
    models = document["models"]
    return VotesReport(
        comparison=document["comparison"],
        models=models,
        votes=votes,
        preferences=preferences(votes, models),
        files=len(saved),
        repeated=len(saved) - len(distinct),
    )


def _read(path: Path) -> dict[str, Any]:
    """Return what a listener saved.

    Raises:
        SourceError: it is something else.
    """
    document = read_json(path, hint=_HINT)
    if not _is_whole(document):
        raise SourceError("bad-votes", f"{path} holds no votes of a listener", _HINT)
    return document


def _is_whole(document: dict[str, Any]) -> bool:
    models, votes = document.get("models"), document.get("votes")
    if document.get("kind") != KIND or not isinstance(models, dict) or not isinstance(votes, list) or len(models) < 2:
        return False
    names = all(isinstance(document.get(name), str) for name in ("comparison", "listener"))
    return (
        names
        and all(isinstance(path, str) for path in models.values())
        and all(_is_vote(vote, models) for vote in votes)
    )


def _is_vote(vote: Any, models: dict[str, str]) -> bool:
    if not isinstance(vote, dict) or not isinstance(vote.get("text"), str) or type(vote.get("seed")) is not int:
        return False
    return vote.get("chosen") is None or (isinstance(vote["chosen"], str) and vote["chosen"] in models)


def _votes(document: dict[str, Any]) -> list[Vote]:
    return [
        Vote(listener=document["listener"], text=vote["text"], seed=vote["seed"], chosen=vote.get("chosen"))
        for vote in document["votes"]
    ]
