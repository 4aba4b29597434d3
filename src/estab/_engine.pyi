"""The hot loops in C, GIL released. `estab.load.pyengine` has the same contract in Python."""

from collections.abc import Mapping
from typing import Any, TypedDict

class _Layout(TypedDict):
    slots: list[str]
    phases: list[str]
    retransmits: int
    failures: int
    orders: int
    connect_ns: int
    request_ns: int
    size: int

def run_client(block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
    """Loads until it is over or the control pipe says so. Raises OSError with what kept it from starting."""

def run_server(block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
    """Serves until the control pipe says so. Raises OSError with what kept it from starting."""

def layout() -> _Layout:
    """Names of the slots, in order, and byte offsets in the shared block."""

def state_bytes() -> dict[str, int]:
    """Bytes of state kept for each connection, by role: client, server."""
