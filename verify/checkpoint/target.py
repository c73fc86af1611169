"""Where the output of a request goes, and what it must not be."""

from pathlib import Path

from verify.checkpoint.source import Request, find_checkpoint


def default_output(source: Path) -> Path:
    """Return `inference/` in a run folder, or `<stem>-inference/` beside a file."""
    return source / "inference" if source.is_dir() else source.parent / f"{source.stem}-inference"


def failed(target: Path) -> Path:
    """Return where `--keep-failed` keeps what did not load."""
    return target.with_name(f"{target.name}.failed")


def inputs(request: Request) -> list[Path]:
    """Return every path that the user named and that holds something to read: none of them may become the output."""
    named = [request.source, request.config, request.vocab, request.base, *request.speaker_wavs]
    return [path for path in named if path is not None] + [find_checkpoint(request.source, request.checkpoint)]
