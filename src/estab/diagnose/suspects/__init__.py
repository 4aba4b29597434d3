"""Every suspect, in the order in which they are asked. One file a cause; a new one is added to `SUSPECTS` by hand.

A suspect is a module: `CAUSE`, `SIDE` and a pure `judge(run)` that gives its own verdict, knowing of no other suspect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from estab.diagnose.suspects import (
    accept_queue_overflow,
    client_open_files,
    ephemeral_port_exhaustion,
    generator_saturated,
    nobody_listening,
    server_not_accepting,
    server_open_files,
    time_wait_port_exhaustion,
)
from estab.records import RunResult, Side, Suspect


class SuspectModule(Protocol):
    """What each module of this package offers."""

    @property
    def CAUSE(self) -> str:  # noqa: N802 - a module's constant
        """The stable id: the file's stem, the docs page, the scenario, and what stands in JSON."""

    @property
    def SIDE(self) -> Side:  # noqa: N802 - a module's constant
        """Whose limit it is."""

    @property
    def failures(self) -> Callable[[RunResult], int]:
        """How many client failures this cause can answer for, in this run."""

    @property
    def judge(self) -> Callable[[RunResult], Suspect]:
        """The verdict on this suspect alone: pure, and never raising."""


SUSPECTS: tuple[SuspectModule, ...] = (
    nobody_listening,
    client_open_files,
    time_wait_port_exhaustion,
    ephemeral_port_exhaustion,
    server_open_files,
    server_not_accepting,
    accept_queue_overflow,
    generator_saturated,
)
