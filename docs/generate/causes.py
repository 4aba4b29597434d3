"""The parts of pages that list causes, made of what each declares and of the front matter of its page.

A page begins with its title in words, its cause's id and one sentence. The front matter: `met`: often, sometimes or
seldom; `messages`: under which headings of the error page the cause stands, and when it is the one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mkdocs.utils import meta

from estab.diagnose.cause import Cause, ConnectionStage, Rebuilt
from estab.diagnose.suspects import CAUSES

DOCS = Path(__file__).resolve().parents[1]
MET = ("often", "sometimes", "seldom")
SIDES = {"client": "At the client", "path": "On the path", "server": "At the server"}
PART = re.compile(r"<!-- made: (.+?) -->\n.*?<!-- end -->", re.DOTALL)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def pages() -> dict[str, str]:
    """The list of causes, the error page, and how the judge thinks, with the parts that are made."""
    return {"causes/index.md": _index(), "errors.md": _errors(), "judge.md": _judge()}


def title_of(cause: Cause) -> str:
    """What it is called in words: the title of its page."""
    return page_of(cause)[0].partition("\n")[0].removeprefix("# ")


def link_to(cause: Cause, folder: str = "") -> str:
    """Its title, which leads to its page in `folder`, and its id."""
    return f"[{title_of(cause)}]({folder}{cause.id}.md) `{cause.id}`"


def page_of(cause: Cause) -> tuple[str, dict[str, Any]]:
    """A cause's page without its front matter, and that."""
    body, front = meta.get_data(_read(f"causes/{cause.id}.md"))
    return body, dict(front)


def _index() -> str:
    made = {side: _table("in one sentence", _of_side(side)) for side in SIDES}
    made["twins"] = _table("rebuilt by", [(cause, _by(cause)) for cause in CAUSES])
    return filled("causes/index.md", made)


def _of_side(side: str) -> list[tuple[Cause, str]]:
    """The causes of one side, each with the sentence that its page begins with."""
    return [(cause, page_of(cause)[0].split("\n\n")[2]) for cause in CAUSES if cause.side == side]


def _by(cause: Cause) -> str:
    return cause.twin.by if isinstance(cause.twin, Rebuilt) else f"not at all: {cause.twin.why}"


def _table(column: str, rows: list[tuple[Cause, str]]) -> str:
    lines = "\n".join(f"| {link_to(cause)} | {text} |" for cause, text in rows)
    return f"| cause | {column} |\n|---|---|\n{lines}"


# The error page ----------------------------------------------------------------------------------------------------


def _errors() -> str:
    text = _read("errors.md")
    return filled("errors.md", {heading: _met_at(heading) for heading in HEADING.findall(text)})


def _met_at(heading: str) -> str:
    """One line for each condition, with the causes that it speaks for."""
    conditions: dict[str, list[str]] = defaultdict(list)
    for cause, front in sorted(((cause, page_of(cause)[1]) for cause in CAUSES), key=_how_usual):
        if heading in front["messages"]:
            conditions[front["messages"][heading]].append(link_to(cause, "causes/"))
    return "\n".join(f"- {when}: {', '.join(links)}." for when, links in conditions.items())


def _how_usual(page: tuple[Cause, dict[str, Any]]) -> tuple[int, int, int, str]:
    """Often before seldom; then a connection's way, the plain before what is a kind of it."""
    cause, front = page
    return MET.index(front["met"]), cause.stage, cause.specificity, cause.id


# How the judge thinks ----------------------------------------------------------------------------------------------


def _judge() -> str:
    return filled("judge.md", {"order": _order(), "explains": _explains()})


def _order() -> str:
    lines = [
        f"| {_words(stage)} | {_ids(cause for cause in CAUSES if cause.stage is stage)} |" for stage in ConnectionStage
    ]
    return "| stage | suspects |\n|---|---|\n" + "\n".join(lines)


def _words(stage: ConnectionStage) -> str:
    return stage.name.lower().replace("_", " ")


def _explains() -> str:
    """A row for each reason: the cause, what it explains, and why."""
    lines = []
    for origin in CAUSES:
        reasons: dict[str, list[Cause]] = defaultdict(list)
        for other in CAUSES:
            if (why := origin.why_it_explains(other)) is not None:
                reasons[why].append(other)
        lines += [f"| `{origin.id}` | {_ids(others)} | {why} |" for why, others in reasons.items()]
    return "| cause | explains | because |\n|---|---|---|\n" + "\n".join(lines)


def _ids(causes: Iterable[Cause]) -> str:
    return ", ".join(f"`{cause.id}`" for cause in causes)


def _read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def filled(page: str, made: dict[str, str]) -> str:
    """The page with each of its made parts as `made` has it."""
    return PART.sub(lambda part: f"<!-- made: {part[1]} -->\n\n{made[part[1]]}\n\n<!-- end -->", _read(page))
