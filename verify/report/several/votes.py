"""The votes of listeners for a terminal: how many each model has, who won, and how sure that is."""

from rich.console import Console

from verify.errors import counted
from verify.report.screen import say
from verify.report.words import percent, printable
from verify.results.paired import UNTOLD
from verify.results.votes import Preference, VotesReport


def show(report: VotesReport, screen: Console, is_quiet: bool) -> None:
    """Print the votes of each model and what they say; quiet, only what they say."""
    if not is_quiet:
        heard = f"{counted(report.listeners, 'listener')}, {counted(report.takes, 'take')}"
        repeated = f"; {counted(report.repeated, 'file')} said the same as another" if report.repeated else ""
        say(f"{counted(len(report.votes), 'vote')} of {heard}{repeated}", screen)
        for name, votes in report.chosen.items():
            say(printable(f"  {votes:,}  {name}  {report.models[name]}"), screen)
        say(f"  {report.no_difference:,}  no difference", screen)
        for preference in report.preferences:
            say(printable(in_words(preference)), screen)
    say(printable(outcome(report)), screen)


def outcome(report: VotesReport) -> str:
    """Return who won, in one line."""
    if report.winner:
        return f"won: {report.winner}  {report.models[report.winner]}"
    needed = [item.needed for item in report.preferences if item.answer == UNTOLD and item.needed]
    over = next((item.over for item in report.preferences if item.answer == UNTOLD), "takes")
    more = f": about {max(needed):,} {over} would tell, if they are heard as these were" if needed else ""
    return f"won: {UNTOLD}{more}"


def in_words(item: Preference) -> str:
    """Return in one line how often a model was chosen rather than another."""
    share = f"{item.model} rather than {item.against}: {percent(round(item.share, 2))}"
    return f"{share} ({percent(round(item.low, 2))} to {percent(round(item.high, 2))}, over {item.units} {item.over}): {item.answer}"
