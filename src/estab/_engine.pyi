"""The hot loops in C, GIL released. `estab.load.pyengine` has the same contract in Python."""

from collections.abc import Mapping
from typing import Any, TypedDict, final

class _Layout(TypedDict):
    slots: list[str]
    phases: list[str]
    retransmits: int
    failures: int
    orders: int
    http_status: int
    gaps: int
    connect_ns: int
    request_ns: int
    size: int

def run_client(block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
    """Loads until it is over or the control pipe says so. Raises OSError with what kept it from starting."""

def run_server(block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
    """Serves until the control pipe says so. Raises OSError with what kept it from starting."""

def take_replies(
    config: Mapping[str, Any], data: bytes, piece: int, /
) -> tuple[list[tuple[int, bool, int]], int, bool]:
    """The replies in `data`, which comes in pieces of so many bytes, for the test of both engines.

    Of each its status, whether it is the last, and where it ended; then why what follows is none (0: nothing is wrong),
    and whether the reply that has begun ends with the connection.
    """

@final
class Census:
    """What counts and packs the sockets of sock_diag's answers, as `inet_diag.Census` does. For one thread at a time.

    Keys and values are as there. Addresses are 16 bytes. Made by `census`.
    """

    def add(self, data: bytes | bytearray | memoryview, /) -> tuple[int, int]:
        """Counts the whole sockets at the start of one datagram.

        Returns where the walk stopped (the end, or the first message that is no whole socket) and all flags seen.
        """

    def receive(self, fd: int, buffer: bytearray | memoryview, /) -> tuple[int, int, int]:
        """Counts datagrams from a socket until one holds something else; without the GIL.

        Returns the length of that one (it was cut if that is more than the buffer's), and of it what `add` returns; the
        flags are of all datagrams. Raises OSError where none can be received.
        """

    def merge(self, other: Census, /) -> None:
        """Counts what `other` counted as well. What it packed is not taken over."""

    def counts(self) -> bytes: ...
    def ports(self) -> dict[int, int]: ...
    def peers(self) -> dict[bytes, int]: ...
    def sources(self) -> dict[bytes, int]: ...
    def packed(self) -> bytes: ...
    def resending(self) -> bytes: ...
    def busiest_ports(self, most: int, /) -> list[tuple[int, int]]: ...
    def busiest_peers(self, most: int, /) -> list[tuple[bytes, int]]: ...
    def port_states(self, port: int, /) -> dict[int, int]: ...

def census(ports: bool, peers: bool, sources: bool, packed_states: int, at_server: bool, /) -> Census:
    """An empty one. It counts by state; by local port and state, by peer, by local address where asked to.

    Sockets in the states of the mask `packed_states` are packed as 36 bytes each; `at_server` says which end they are.
    """

@final
class Owned:
    """The connections of some processes, counted by target, look by look: those whose inode one of them holds.

    A look: `hold_sockets_of`, then `add` for each datagram of a dump, then `turn`. For one thread at a time. Of a
    target the numbers are, in this order: address (16 bytes) and port; connections that are open, wait for an answer to
    their SYN, and of these those whose SYN was sent again; open ones that send data again; the most that were open; the
    most that a SYN or a segment was sent again; all that were seen; SYNs sent again whose socket then was gone. Made by
    `owned`. Targets beyond 4,095 are counted together, with port 0.
    """

    def hold_sockets_of(self, pids: bytes, /) -> tuple[int, int]:
        """The processes by pid, as native ints. Returns how many sockets they hold, and how many would not show it."""

    def holds(self, inode: int, /) -> bool: ...
    def set_listening(self, ports: bytes, /) -> None:
        """What has one of these local ports, as native 16 bits each, was opened by others."""

    def add(self, data: bytes | bytearray | memoryview, /) -> tuple[int, int]: ...
    def turn(self) -> None: ...
    def targets(self) -> list[tuple[bytes, int, int, int, int, int, int, int, int, int]]: ...
    def incoming(self) -> tuple[bytes, int, int, int, int, int, int, int, int, int]: ...

def owned() -> Owned:
    """An empty one."""

@final
class Trace:
    """Connects of some processes, from pages of trace_pipe_raw. For one thread at a time. Made by `trace`.

    Of a target: address (16 bytes), port, connects begun and connected, RSTs received and sent on what was connected,
    packets sent again, the longest time in ns after which a connect was given up, and failures: errno (0: closed by the
    program, -1: not told), count, first and last on the trace's clock in ns.
    """

    def follow(self, tid: int, pid: int, at_ns: int, /) -> None: ...
    def add(self, page: bytes | memoryview, /) -> None: ...
    def turn(self, until_ns: int, /) -> None: ...
    def targets(self) -> list[tuple[bytes, int, int, int, int, int, int, int, list[tuple[int, int, int, int]]]]: ...
    def acceptors(self) -> list[tuple[int, int, int, list[tuple[int, int, int, int]]]]:
        """Each descriptor from which connections are accepted: a thread that did, its number, how many, failures."""

    def refused(self) -> list[tuple[int, int, int, int]]:
        """Threads that are not followed and whose connect() got EAGAIN, as a UNIX socket's alone does: how often, and
        when first and last. The 64th place takes the rest, with thread 0."""

    def totals(self) -> dict[str, Any]:
        """`histogram` (counts as `load.block.hdr_index` has them), `sum_ns`, `max_ns` of times to connect; `resent`
        (connects by how often their SYN was sent again); `socket_failures`, `bind_failures`, `connect_failures` (that
        failed before TCP did anything), `unix_failures` of `unix_connects`; `events`, `damaged`."""

def trace(formats: tuple[tuple[int, ...], ...], /) -> Trace:
    """An empty one. Of each kind of event its id and the offsets of its fields, in the order of `trace.c`."""

def set_difference(these: bytes | bytearray | memoryview, those: bytes | bytearray | memoryview, /) -> bytes:
    """The packed connections among `these` that are not among `those`, as `inet_diag.missing`; without the GIL."""

def gained(now: bytes | bytearray | memoryview, known: bytearray | memoryview, /) -> list[tuple[int, int]]:
    """Where and by how much `now` differs from `known`, two equally long arrays of u64; `known` becomes `now`."""

def die_with_parent() -> None:
    """This process gets SIGKILL when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG)."""

def layout() -> _Layout:
    """Names of the slots, in order, and byte offsets in the shared block."""

def state_bytes() -> dict[str, int]:
    """Bytes of state kept for each connection, by role: client, server."""
