"""What the process that traces connects (`connect_tracer`) has counted, in records. Pure."""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from estab.kernel.formats import hdr, inet_diag

_Failures: TypeAlias = list[tuple[int, int, int, int]]
_Target: TypeAlias = tuple[bytes, int, int, int, int, int, int, int, _Failures]


class TracedFailure(msgspec.Struct):
    """`code`: an errno; 0: closed by its program before it connected; -1: not told. Times of CLOCK_MONOTONIC, in ns."""

    code: int
    count: int
    first_ns: int
    last_ns: int


class TracedTarget(msgspec.Struct):
    """What became of the connects to one address and port."""

    address: str
    port: int
    attempted: int
    connected: int
    resets_received: int
    resets_sent: int
    resent: int
    worst_give_up_ns: int
    failures: list[TracedFailure]


class TracedAccepts(msgspec.Struct):
    """What was accepted from one socket. `inode`: which (None: it was closed too soon); `unix`: it is no TCP socket."""

    inode: int | None
    unix: bool
    accepted: int
    failures: list[TracedFailure]


class TracedRefused(msgspec.Struct):
    """Another process whose connects over UNIX sockets got EAGAIN, in the network namespace with this inode.

    `pid` and what follows it: None where it had ended before it could be looked at.
    """

    pid: int | None
    name: str | None
    namespace: int | None
    count: int
    first_ns: int
    last_ns: int


class TracedConnects(msgspec.Struct):
    """All connects of the processes that were followed. `why`: what kept it from tracing.

    `connect_ns` counts times to connect by the index of the HDR histogram; `resent` connects by how often their SYN was
    sent again. `lost` events did not fit the buffer. `refused`: who beside them found a UNIX accept queue full.
    """

    why: str | None = None
    targets: list[TracedTarget] = []
    connect_ns: list[tuple[int, int]] = []
    sum_ns: int = 0
    max_ns: int = 0
    resent: list[int] = []
    socket_failures: list[TracedFailure] = []
    bind_failures: list[TracedFailure] = []
    connect_failures: list[TracedFailure] = []
    accepts: list[TracedAccepts] = []
    unix_connects: int = 0
    unix_failures: list[TracedFailure] = []
    refused: list[TracedRefused] = []
    events: int = 0
    lost: int = 0
    unseen: list[str] = []


def read(told: bytes) -> TracedConnects:
    """A message of it, which is `marshal`'s: what it counted; or that it traces, or why it can't (`why`), alone."""
    said: Mapping[str, Any] = marshal.loads(told)
    if "totals" not in said:
        return TracedConnects(why=said["why"])
    totals, targets = said["totals"], cast("list[_Target]", said["targets"])
    return TracedConnects(
        targets=[TracedTarget(inet_diag.plain_address(row[0]), *row[1:8], _failures(row[8])) for row in targets],
        connect_ns=list(hdr.filled(memoryview(totals["histogram"]).cast("Q")).items()),
        sum_ns=totals["sum_ns"],
        max_ns=totals["max_ns"],
        resent=list(array("Q", totals["resent"])),
        socket_failures=_failures(totals["socket_failures"]),
        bind_failures=_failures(totals["bind_failures"]),
        connect_failures=_failures(totals["connect_failures"]),
        accepts=_accepts(said["accepts"]),
        unix_connects=totals["unix_connects"],
        unix_failures=_failures(totals["unix_failures"]),
        refused=_refused(said["refused"]),
        events=totals["events"],
        lost=said["lost"],
        unseen=said["unseen"],
    )


def _failures(rows: _Failures) -> list[TracedFailure]:
    return [TracedFailure(*row) for row in rows]


def _accepts(rows: Iterable[tuple[int | None, bool, int, _Failures]]) -> list[TracedAccepts]:
    """What each socket accepted, processes that share one together."""
    told: dict[tuple[int | None, bool], TracedAccepts] = {}
    for inode, unix, accepted, failures in rows:
        listener = told.setdefault((inode, unix), TracedAccepts(inode, unix, 0, []))
        listener.accepted += accepted
        listener.failures += _failures(failures)
    return list(told.values())


def _refused(rows: Iterable[tuple[int | None, str | None, int | None, int, int, int]]) -> list[TracedRefused]:
    """The processes, the threads of one together."""
    told: dict[tuple[int | None, str | None, int | None], TracedRefused] = {}
    for pid, name, namespace, count, first_ns, last_ns in rows:
        process = told.setdefault((pid, name, namespace), TracedRefused(pid, name, namespace, 0, first_ns, last_ns))
        process.count += count
        process.first_ns, process.last_ns = min(process.first_ns, first_ns), max(process.last_ns, last_ns)
    return sorted(told.values(), key=lambda process: -process.count)
