"""The hot loops in C, GIL released. `estab.load.pyengine` has the same contract in Python."""

from array import array
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

def census(
    data: bytes | bytearray | memoryview,
    counts: array[int],
    ports: dict[int, int] | None,
    peers: dict[bytes, int] | None,
    sources: dict[bytes, int] | None,
    /,
) -> tuple[int, int]:
    """Counts the whole sockets at the start of one sock_diag datagram, as `inet_diag.Census.add` does.

    `counts` is 512 integers of 64 bits: by state with an inode, then without. `ports` counts by port << 8 | state,
    `peers` and `sources` by address in 16 bytes, IPv4 as IPv4-mapped. Returns where the walk stopped (the end, or the
    first message that is no whole socket) and all flags that were seen.
    """

def established(data: bytes | bytearray | memoryview, at_server: bool, /) -> tuple[bytes, int, int]:
    """The whole sockets at the start of one datagram, 36 bytes each, as `inet_diag.Established` packs them.

    Returns them, and where and with which flags the walk stopped, as `census`.
    """

def gained(now: bytes | bytearray | memoryview, known: bytearray | memoryview, /) -> list[tuple[int, int]]:
    """Where and by how much `now` differs from `known`, two equally long arrays of u64; `known` becomes `now`."""

def die_with_parent() -> None:
    """This process gets SIGKILL when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG)."""

def layout() -> _Layout:
    """Names of the slots, in order, and byte offsets in the shared block."""

def state_bytes() -> dict[str, int]:
    """Bytes of state kept for each connection, by role: client, server."""
