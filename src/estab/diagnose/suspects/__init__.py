"""Every suspect, in the order in which they are asked. One file a cause; a new one is added to `SUSPECTS` by hand.

A suspect is a module: `CAUSE`, `SIDE` and a pure `judge(run)` that gives its own verdict, knowing of no other suspect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from estab.diagnose.suspects import (
    abort_on_overflow,
    accept_queue_overflow,
    accept_thread_starved,
    backlog_clamped,
    bound_ports_poisoned,
    client_open_files,
    conntrack_full_local,
    cookie_reset,
    defer_accept_drops,
    ephemeral_port_exhaustion,
    generator_saturated,
    nobody_listening,
    path_filtered,
    path_flow_table_full,
    path_syn_loss,
    server_not_accepting,
    server_open_files,
    short_connection_storm,
    syn_queue_overflow,
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


# The order is a connection's way: what the client lacks, what the path does, what the server lacks, who measured.
# Of two that are kinds of the same thing, the more specific stands first (see `EXPLAINS` in judge.py).
SUSPECTS: tuple[SuspectModule, ...] = (
    client_open_files,
    bound_ports_poisoned,
    time_wait_port_exhaustion,
    ephemeral_port_exhaustion,
    conntrack_full_local,
    path_filtered,
    path_flow_table_full,
    path_syn_loss,
    nobody_listening,
    server_open_files,
    server_not_accepting,
    accept_thread_starved,
    defer_accept_drops,
    syn_queue_overflow,
    cookie_reset,
    abort_on_overflow,
    short_connection_storm,
    backlog_clamped,
    accept_queue_overflow,
    generator_saturated,
)
