"""Reading the documents: their fenced blocks, what stands before a block about running it, and the calls of estab."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(
    r"(?:^<!-- (?P<marker>[^>]+) -->\n\n?)?^```(?P<language>\w+)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
_ASSIGNMENT = re.compile(r"(?:[A-Z_]+=\S+\s+)*")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


@dataclass(frozen=True)
class Block:
    """A fenced block. `marker` is the comment right before it, as "not run: why", "exits 1" or "exits 0 or 1, why"."""

    page: str
    language: str
    body: str
    marker: str = ""

    @property
    def why_not(self) -> str | None:
        """Why no test runs it; None where one does."""
        return self.marker.removeprefix("not run: ") if self.marker.startswith("not run: ") else None

    @property
    def statuses(self) -> tuple[int, ...]:
        """The exit codes that each of its calls of estab may have: of a load without bounds, two."""
        match = re.fullmatch(r"exits (\d)(?: or (\d), .+)?", self.marker)
        return tuple(int(one) for one in match.groups() if one) if match else (0,)

    @property
    def lines(self) -> list[str]:
        """Its command lines: all of `sh`, those after `$ ` of `console`, which also holds output; none otherwise."""
        if self.language == "sh":
            found = self.body.splitlines()
        elif self.language == "console":
            found = [line[2:] for line in self.body.splitlines() if line.startswith("$ ")]
        else:
            found = []
        return [line for line in found if calls(line)]


def blocks(path: Path) -> list[Block]:
    """All fenced blocks of a document."""
    page = str(path.relative_to(ROOT))
    found = _FENCE.finditer(path.read_text(encoding="utf-8"))
    return [Block(page, one["language"], one["body"], one["marker"] or "") for one in found]


def documents() -> Iterator[Path]:
    """README.md and every page of the site."""
    yield ROOT / "README.md"
    yield from sorted(DOCS.rglob("*.md"))


@functools.cache  # several tests ask for the same line
def calls(line: str) -> list[list[str]]:
    """The arguments of each `estab …` on a shell line; `;`, `|`, `&`, `(` and `)` outside quotes part calls."""
    hidden: list[str] = []

    def hide(found: re.Match[str]) -> str:
        hidden.append(found[0])
        return f"\0{len(hidden) - 1}\0"

    parts = re.split(r"[;|&()]", _QUOTED.sub(hide, line))
    shown = [re.sub("\0(\\d+)\0", lambda found: hidden[int(found[1])], part) for part in parts]
    words = [shlex.split(_ASSIGNMENT.sub("", part.strip(), count=1), comments=True) for part in shown]
    return [_without_redirection(one[1:]) for one in words if one and one[0] in ("estab", ".venv/bin/estab")]


def _without_redirection(words: list[str]) -> list[str]:
    cut = next((place for place, word in enumerate(words) if re.fullmatch(r"\d?>>?|<", word)), len(words))
    return words[:cut]
