"""The ledger: each suspect that is not the cause, with its test, its value and its verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from estab.records import Evidence, Suspect, Verdict
from estab.report.layout import INDENT, beside, heading
from estab.report.words import clean, count

ORDER: tuple[tuple[Verdict, str, str], ...] = (
    ("confirmed", "confirmed", "red"),
    ("possible", "possible", "yellow"),
    ("ruled_out", "ruled out", "green"),
    ("not_observed", "not observed", "dim"),
)


def ledger(suspects: list[Suspect], title: str) -> Iterator[RenderableType]:
    """A heading and the table; nothing at all where there is no suspect."""
    if suspects:
        yield heading(title)
        yield beside(_rows(suspects), indent=INDENT)


def _rows(suspects: list[Suspect]) -> Iterator[tuple[Text, Text]]:
    for verdict, words, style in ORDER:
        label = words
        for suspect in (s for s in suspects if s.verdict == verdict):
            text = Text(clean(suspect.cause))
            text.append(f"  {clean(suspect.summary)}", style="dim")
            tested = test(suspect)
            if tested:
                text.append(f" [{clean(tested)}]", style="dim italic")
            yield Text(label, style=style), text
            label = ""


def test(suspect: Suspect) -> str:
    """The suspect's first test that has a value, as `field value / threshold`; "" where it has none."""
    tested = next((fact for fact in suspect.evidence if fact.value is not None), None)
    if tested is None:
        return ""
    beside = "" if tested.threshold is None else f" / {_figure(tested.threshold)}"
    return f"{_short(tested)} {_figure(tested.value)}{beside}"


def _short(fact: Evidence) -> str:
    """The field by its last name: `TcpExt.ListenOverflows` is `ListenOverflows` in nstat and in people's mouths."""
    prefix, _, name = fact.field.partition(".")
    return name if prefix in ("TcpExt", "Tcp", "IpExt") and name else fact.field


def _figure(value: int | float | str | None) -> str:
    if isinstance(value, float) and not (math.isfinite(value) and value == int(value)):
        return f"{value:.3g}"
    return value if isinstance(value, str) else count(value)
