"""The tables of options in docs/options.md and docs/library.md, made from where the options are declared."""

from tests.test_house import ROOT
from verify import options
from verify.options.option import Option, options_of

OPTIONS, LIBRARY = ROOT / "docs" / "options.md", ROOT / "docs" / "library.md"


def command_line_table() -> str:
    """Return a row for each option of the command line; one that means something else in `judge` or `demo` has two."""
    commands: dict[tuple[str, str], set[str]] = {}
    for group in options.GROUPS:
        for holder in options.HOLDERS:
            for _, option in options_of(holder):
                if option.group == group:
                    commands.setdefault((_spelling(option), _about(option)), set()).update(option.commands)
    rows = [f"| {spelling} | {_named(takers)} | {about} |" for (spelling, about), takers in commands.items()]
    return "\n".join(["| option | of | meaning |", "|---|---|---|", *rows])


def library_table() -> str:
    """Return a row for each keyword of `convert`."""
    rows = []
    for field, option in options_of(options.Job):
        if option.commands:
            default = repr(field.default)
            rows.append(f"| `{field.name}` | `{default}` | {_spelling(option)} | {option.help} |")
    return "\n".join(["| keyword | default | on the command line | meaning |", "|---|---|---|---|", *rows])


def tables() -> dict:
    """Return each page with its table."""
    return {OPTIONS: command_line_table(), LIBRARY: library_table()}


def of_page(text: str) -> str:
    """Return the table of options that a page has: the one whose first column is so called."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(("| option | of |", "| keyword | default |")))
    last = next(n for n in range(first, len(lines)) if not lines[n].startswith("|"))
    return "\n".join(lines[first:last])


def write() -> None:
    """Put the tables into their pages."""
    for page, table in tables().items():
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(of_page(text), table), encoding="utf-8")


def _spelling(option: Option) -> str:
    value = (option.metavar or "").replace("|", "\\|")
    value = f" [{value}]" if option.alone else f" {value}" if value else ""
    return ", ".join(f"`{flag}{value if flag == option.flag else ''}`" for flag in option.flags)


def _named(commands: set) -> str:
    if commands == {*options.EVERY}:
        return "all"
    return ", ".join(name if name != "convert" else "main job" for name in options.EVERY if name in commands)


def _about(option: Option) -> str:
    joint = ", " if option.more.startswith(("and ", "if ", "as ", "but ")) else "; "
    return f"{option.help}{joint}{option.more}" if option.more else option.help
