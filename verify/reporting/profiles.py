"""The list of `profiles`: which programs a result can be made for, and what each looks for; for people and as JSON."""

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from verify.checkpoint import profiles
from verify.checkpoint.profiles import Profile
from verify.errors import EXIT_VERIFIED
from verify.reporting.report import SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All profiles."""

    profiles: tuple[Profile, ...] = field(default_factory=lambda: tuple(map(profiles.read, profiles.names())))
    exit_code: int = EXIT_VERIFIED

    def to_json(self) -> dict[str, Any]:
        """Return the profiles by name."""
        return {"schema": SCHEMA, "profiles": [profile.as_json() for profile in self.profiles]}


def show(listing: Listing, screen: Console, is_quiet: bool) -> None:
    """Print each profile with the files that the program looks for, and what to do with them; quiet, the names alone."""
    if is_quiet:
        screen.print(" ".join(profile.name for profile in listing.profiles))
        return
    table = Table(box=None, padding=(0, 2, 1, 0))
    for name in ("profile", "program", "looks for", "use"):
        table.add_column(name, no_wrap=name == "profile", overflow="fold")
    for profile in listing.profiles:
        held = "a ZIP of " if profile.zip else ""
        table.add_row(profile.name, profile.title, held + ", ".join(profile.files), profile.put)
    screen.print(table)
