"""What is told of programs and formats: the list of `profiles`, what a cast cost, what a program finds, how another Python fares."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.diagnosis.weights_check import CastResult
from verify.document import SCHEMA
from verify.errors import EXIT_VERIFIED
from verify.findings import PlaceResult, ProfileResult
from verify.profiles import profile as profiles
from verify.profiles.profile import Profile
from verify.report.screen import say, show_cause
from verify.report.words import place_packages, place_words, printable, token_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All profiles."""

    profiles: tuple[Profile, ...] = field(default_factory=lambda: tuple(map(profiles.read, profiles.names())))
    exit_code: int = EXIT_VERIFIED

    def to_json(self) -> dict[str, Any]:
        """Return the profiles by name."""
        return {"schema": SCHEMA, "profiles": [profile.as_json() for profile in self.profiles]}


def show(listing: Listing, screen: Console, is_quiet: bool) -> None:
    """Print each profile with the files that the program looks for, and how to use them; quiet, the names alone."""
    if is_quiet:
        screen.print(" ".join(profile.name for profile in listing.profiles))
        return
    for profile in listing.profiles:
        held = "a ZIP of " if profile.zip else ""
        say(Text.assemble((profile.name, "bold"), f"  {profile.title}"), screen)
        say(f"    looks for: {held}{', '.join(profile.files)}", screen)
        say(f"    use: {profile.put}", screen)


def cast_table(cast: CastResult) -> Table:
    """Return what casting cost, part by part."""
    title = Text(f"cast to {cast.dtype}; computed in float32")
    table = Table(box=None, padding=(0, 2, 0, 2), title=title, title_justify="left")
    for name in ("part", "tensors", "worst relative error", "of a whole tensor", "to zero"):
        table.add_column(name, justify="left" if name == "part" else "right")
    for part in cast.parts:
        errors = (f"{value:.2e}" for value in (part.worst_element, part.worst_tensor))
        table.add_row(part.part, f"{part.tensors:,}", *errors, f"{part.to_zero:,}")
    return table


def lines(profile: ProfileResult, folder: str) -> list[str]:
    """Return what a program finds in the folder, what to do with it, and what is there twice."""
    where = f" in {folder}/{profile.bundle}" if profile.bundle else ""
    found = f"{profile.title} finds what it looks for: {', '.join(profile.files)}{where}"
    twice = ["its weights are those of model.pth once more: delete what you do not use"] if profile.twice else []
    return [found, f"→ {profile.put.replace('DIR', folder)}", *twice]


def show_places(places: Sequence[PlaceResult], screen: Console) -> None:
    """Print for each other Python how the model fares in it, and why it fails there."""
    for place in places:
        packages = place_packages({"python": place.version, **place.packages})
        words = [place_words(place.stage, place.tokens is not None, place.ok), token_words(place.same_tokens)]
        told = ", ".join([*filter(None, words), f"{sum(place.seconds.values()):.1f} s"])
        line = f"{place.python} ({packages}): {told}"
        say(Text("✓ " if place.ok else "✗ ", "green" if place.ok else "red") + printable(line), screen)
        for cause in place.causes:
            show_cause(cause, screen)
