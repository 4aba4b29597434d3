"""The mark of an answer: pure, from what is right and what was said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.field.situation import Truth

Mark = Literal["right", "wrong", "silent", "misleading", "false alarm", "crash", "not set up"]
MARKS: tuple[Mark, ...] = ("right", "wrong", "silent", "misleading", "false alarm", "crash", "not set up")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What estab answered: its exit code, what it printed, the cause that it confirmed and those that it left open.

    `remedies` are those under "works", each with its reason. `record` is the JSON, where the command writes one.
    """

    exit: int
    text: str
    cause: str | None = None
    possible: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    record: Mapping[str, Any] | None = None


def mark(truth: Truth, said: Said) -> tuple[Mark, str]:
    """The mark, and what is the matter in a few words; empty where it is right."""
    if said.exit < 0 or "Traceback" in said.text or "a fault of estab" in said.text:
        return "crash", f"exit {said.exit}"
    verdict = _cause(truth, said)
    if verdict[0] != "right":
        return verdict
    for why in _blemishes(truth, said):
        return ("false alarm" if truth.is_healthy and said.exit != 0 else "misleading"), why
    return "right", ""


def _cause(truth: Truth, said: Said) -> tuple[Mark, str]:
    named = truth.confirmed | truth.possible
    if said.cause is not None:
        if said.cause in named:
            return "right", ""
        return ("false alarm" if truth.is_healthy else "wrong"), said.cause
    if truth.is_healthy or truth.quiet or truth.possible & set(said.possible):
        return "right", ""
    if truth.confirmed & set(said.possible):
        return "misleading", "only possible"
    if said.exit == 0:
        return "misleading", "exit 0, as if healthy"
    return "silent", ""


def _blemishes(truth: Truth, said: Said) -> list[str]:
    """What spoils an answer whose cause is right."""
    spoils = []
    if said.exit not in truth.right_exits:
        spoils.append(f"exit {said.exit}")
    spoils += [
        f"remedy: {remedy}"
        for remedy in said.remedies
        if any(re.search(pattern, remedy, re.IGNORECASE) for pattern in truth.harmful)
    ]
    plain = " ".join(said.text.split())
    spoils += [f"says no {pattern!r}" for pattern in truth.says if not re.search(pattern, plain, re.IGNORECASE)]
    spoils += [f"says {pattern!r}" for pattern in truth.never_says if re.search(pattern, plain, re.IGNORECASE)]
    for figure in truth.figures:
        value = _at(said.record or {}, figure.path)
        if value is not None and not figure.at_least <= value <= figure.at_most:
            spoils.append(f"{figure.path} {value:g}")
    return spoils


def _at(record: Mapping[str, Any], path: str) -> float | None:
    value: Any = record
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
