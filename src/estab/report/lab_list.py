"""The scenarios that there are, on the terminal: one in a few lines, or one with all its settings."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from estab.records.lab import LabEntry, LabList, LabSetting
from estab.report.layout import columns, indented, line
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, setting_value


def render_list(found: LabList, console: Console, *, settings: bool) -> None:
    """Prints the scenarios, with each one's typed settings where `settings` is true, and their names otherwise."""
    for number, one in enumerate(found.scenarios):
        if number:
            print_trimmed(console, line(""))
        for part in _entry(one, settings):
            print_trimmed(console, part)
    print_trimmed(console, line(""))
    if not settings:
        print_trimmed(console, line("estab lab list NAME tells what its settings take and mean.", "dim"))
    print_trimmed(console, line("estab lab run NAME --set KEY=VALUE plays it with another.", "dim"))


def _entry(one: LabEntry, settings: bool) -> Iterator[RenderableType]:
    takes = f"{one.seconds:.0f} s" if one.seconds else "-"
    cause = "nobody is accused" if one.cause is None else f"cause {one.cause}" if one.cause != one.name else "its cause"
    where = f"{cause}, side {one.side}, takes {takes}" if one.cause != one.name else f"side {one.side}, takes {takes}"
    yield Text.assemble((one.name, "bold"), (f"  {where}", "dim"))
    yield indented(line(clean(one.symptom)))
    if one.why_not:
        yield indented(line(f"cannot run here: {clean(one.why_not)}", "yellow"))
    if settings and one.settings:
        yield indented(_table(one.settings))
    elif one.settings:
        yield indented(
            line(
                "--set " + " ".join(f"{key.key}={setting_value(key.kind, key.default)}" for key in one.settings), "dim"
            )
        )


def _table(settings: list[LabSetting]) -> Table:
    table = columns(header=True)
    for name in ("--set", "default", "takes", "what it is"):
        table.add_column(name, no_wrap=name in ("--set", "default"))
    for one in settings:
        table.add_row(one.key, setting_value(one.kind, one.default), Text(one.takes), Text(clean(one.text)))
    return table
