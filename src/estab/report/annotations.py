"""A comparison as GitHub's workflow commands: lines that the Actions runner turns into annotations.

The form and its escapes: docs.github.com, "Workflow commands for GitHub Actions"; the runner's ActionCommand.cs.
"""

from __future__ import annotations

from collections.abc import Iterator

from estab.records.comparison import Comparison
from estab.report.compare_words import change, label, noise, worse

MOST = 10  # GitHub keeps ten annotations of a kind for a step
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def workflow_commands(comparison: Comparison) -> list[str]:
    """An ::error for each term that fired, a ::warning for what bounds the answer and what is worse beyond noise."""
    errors = [command("error", f"estab compare: {term.term}", term.reason) for term in comparison.gate if term.fired]
    return [*_bounded(errors, "error"), *_bounded(list(_warnings(comparison)), "warning")]


def _warnings(comparison: Comparison) -> Iterator[str]:
    for note in comparison.notes:
        yield command("warning", "estab compare", note)
    if comparison.differences:
        said = "; ".join(
            f"{difference.what}: A {difference.a}, B {difference.b}" for difference in comparison.differences
        )
        yield command("warning", "estab compare: setup differs", said)
    for figure in comparison.figures:
        if worse(figure):
            yield command("warning", "estab compare: worse", f"{label(figure)} {change(figure)} ({noise(figure)})")


def _bounded(lines: list[str], kind: str) -> list[str]:
    if len(lines) <= MOST:
        return lines
    return [*lines[: MOST - 1], command(kind, "estab compare", f"and {len(lines) - MOST + 1} more")]


def command(kind: str, title: str, message: str) -> str:
    """One workflow command. What would end the line, the property or the message early is escaped."""
    return f"::{kind} title={_escaped(title, _PROPERTY)}::{_escaped(message, _DATA)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    """With what steers the runner as the runner wants it, and without what would steer whoever reads its log."""
    return "".join(table.get(c) or (c if c.isprintable() else " ") for c in text)
