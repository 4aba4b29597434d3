"""GitHub's Markdown: text in which nothing is markup, code, and tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from estab.report.words import clean

_ACTED_ON = re.compile(r"([\\`*_{}\[\]<>#+!|~@&])")  # brackets being escaped, parentheses are harmless


def plain(text: str) -> str:
    """One line as it stands, whatever it holds: nothing in it is markup, not even in a cell of a table."""
    return _ACTED_ON.sub(r"\\\1", clean(text))


def code(text: str) -> str:
    """In code, with as many backticks around it as it needs."""
    said = clean(text)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", said)), default=0) + 1)
    room = " " if said.startswith("`") or said.endswith("`") or not said else ""
    return f"{fence}{room}{said}{room}{fence}"


def table(columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """A table. `columns` are (title, whether it holds numbers, which stand at the right)."""
    lines = ["| " + " | ".join(plain(name) for name, _ in columns) + " |"]
    lines.append("|" + "|".join("---:" if number else "---" for _, number in columns) + "|")
    lines += ["| " + " | ".join(plain(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
