"""The table of outcomes: what was said, what is right, the mark."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from tests.field.mark import MARKS, Said
from tests.field.runner import Outcome
from tests.field.situation import Truth

HEADS = ("situation", "said", "right", "mark")


def row(outcome: Outcome) -> tuple[str, str, str, str]:
    """One line's cells."""
    why = textwrap.shorten(outcome.why, 120, placeholder=" …")
    told = f"{outcome.mark}: {why}" if why else outcome.mark
    return outcome.situation.name, said_words(outcome.said), right_words(outcome.situation.truth), told


def lines(outcomes: Sequence[Outcome]) -> list[str]:
    """The table, then the totals."""
    cells = [HEADS, *(row(outcome) for outcome in outcomes)]
    widths = [min(max(len(line[column]) for line in cells), 62) for column in range(3)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, (*widths, 0), strict=True)).rstrip() for line in cells
    ]
    return [*shown, "", totals(outcomes), *agreement(outcomes)]


def totals(outcomes: Sequence[Outcome]) -> str:
    """How many of each mark."""
    counts = Counter(outcome.mark for outcome in outcomes)
    parts = [f"{counts[value]} {value}" for value in MARKS if counts[value] or value != "crash"]
    return f"{len(outcomes)} situations: {', '.join(parts)}"


def agreement(outcomes: Sequence[Outcome]) -> list[str]:
    """On how many hosts all commands that looked at the same host named the same cause; none where none was."""
    causes: dict[str, set[str | None]] = {}
    for outcome in outcomes:
        if outcome.situation.host is not None and outcome.said is not None:
            causes.setdefault(outcome.situation.host, set()).add(outcome.said.cause)
    if not causes:
        return []
    differ = [host for host, named in causes.items() if len(named) > 1]
    told = f"; not on: {', '.join(differ)}" if differ else ""
    return [f"{len(causes)} hosts asked by several commands: {len(causes) - len(differ)} with one cause{told}"]


def said_words(said: Said | None) -> str:
    """The answer in short: its cause, or what it left open, and the exit code."""
    if said is None:
        return "-"
    if said.cause:
        words = said.cause
    elif said.possible:
        words = f"possible: {', '.join(said.possible)}"
    else:
        words = "no cause"
    return f"{words} (exit {said.exit})"


def right_words(truth: Truth) -> str:
    """What is right in short."""
    codes = "/".join(str(code) for code in sorted(truth.right_exits))
    parts = [" | ".join(sorted(truth.confirmed))] if truth.confirmed else []
    parts += [f"possible: {' | '.join(sorted(truth.possible))}"] if truth.possible else []
    parts += ["no cause"] if truth.quiet else []
    return f"{' or '.join(parts) or 'healthy'} (exit {codes})"
