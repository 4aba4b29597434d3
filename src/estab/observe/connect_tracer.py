"""What runs in the process that traces connects: `python -m estab.observe.connect_tracer`.

On standard input it reads `follow PID` and `end`, a line each; it prints one line of JSON once it traces, or why it
can't, and one with the result at the end. When its input closes, as it does when estab is killed, it ends without a
word. Either way its tracefs instance is gone then. The kernel leaves out what no connect needs; what is left is decoded
in C, page by page.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from estab.errors import EstabError, ParseError
from estab.kernel.formats import inet_diag, tracefs
from estab.observe import process_tree, trace_instance

if TYPE_CHECKING:
    from estab._engine import Trace

_PAGE_BYTES = 65536  # a read gives one page, whatever its size
_DRAIN_EVERY_S, _SETTLED_NS, _LONG_NS = 0.05, 1_000_000, 10_000_000_000
BUFFER_KB, _MOST_KB = 8192, 131_072  # of each CPU, and of all
_TUPLE = {"sport": 2, "dport": 2, "family": 2, "protocol": 2, "daddr": 4, "daddr_v6": 16}
_SOCKET, _RETURN, _DESCRIPTOR = {"skaddr": 8}, {"ret": 8}, {"fd": 8}
# EAGAIN, and calls that the kernel begins anew (ERESTARTSYS and above).
_ACCEPTED = "ret != -11 && ret > -512"
_ABSENT = (-1,)
_CALLS = "calls that failed before TCP did anything, and what was accepted"
_BINDS = "bind() that failed"


class Event(NamedTuple):
    """An event, the sizes of its fields, what the kernel lets through, and what is not seen without it (empty: all)."""

    name: str
    sizes: Mapping[str, int]
    wanted: str = ""
    without: str = ""


# In the order of `enum event_kind` in event.h.
_EVENTS = (
    Event(
        "sock/inet_sock_set_state",
        {"skaddr": 8, "oldstate": 4, "newstate": 4, **_TUPLE},
        "protocol == 6 && (newstate == 2 || oldstate == 2 || newstate == 7)",  # TCP; SYN_SENT, CLOSE
    ),
    Event("tcp/tcp_retransmit_skb", _SOCKET, without="packets that were sent again"),
    Event("tcp/tcp_receive_reset", _SOCKET, without="RSTs that were received"),
    Event("tcp/tcp_send_reset", _SOCKET, without="RSTs that were sent"),
    Event(
        "sock/inet_sk_error_report", {"error": 4, **_TUPLE}, "protocol == 6", "why a connect failed that did not block"
    ),
    Event("task/task_newtask", {"pid": 4, "clone_flags": 8}),
    Event(
        "syscalls/sys_enter_socket",
        {"family": 8, "type": 8},
        "family == 1 || family == 2 || family == 10",  # UNIX, IPv4, IPv6
        _CALLS,
    ),
    Event("syscalls/sys_exit_socket", _RETURN, "", _CALLS),
    Event("syscalls/sys_enter_connect", _DESCRIPTOR, "", _CALLS),
    Event("syscalls/sys_exit_connect", _RETURN, "ret < 0 && ret != -115", _CALLS),  # EINPROGRESS
    Event("syscalls/sys_enter_accept", _DESCRIPTOR, "", _CALLS),
    Event("syscalls/sys_enter_accept4", _DESCRIPTOR, "", _CALLS),
    Event("syscalls/sys_exit_accept", _RETURN, _ACCEPTED, _CALLS),
    Event("syscalls/sys_exit_accept4", _RETURN, _ACCEPTED, _CALLS),
    Event("syscalls/sys_enter_bind", _DESCRIPTOR, "", _BINDS),
    Event("syscalls/sys_exit_bind", _RETURN, "ret < 0", _BINDS),
)


class FailureCount(msgspec.Struct, array_like=True):
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
    failures: list[FailureCount]


class TracedAccepts(msgspec.Struct):
    """What was accepted from one socket. `inode`: which (None: it was closed too soon); `unix`: it is no TCP socket."""

    inode: int | None
    unix: bool
    accepted: int
    failures: list[FailureCount]


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
    socket_failures: list[FailureCount] = []
    bind_failures: list[FailureCount] = []
    connect_failures: list[FailureCount] = []
    accepts: list[TracedAccepts] = []
    unix_connects: int = 0
    unix_failures: list[FailureCount] = []
    refused: list[TracedRefused] = []
    events: int = 0
    lost: int = 0
    unseen: list[str] = []


def main(buffer_kb: int) -> None:
    """Trace until the input says `end`, or closes. Never raises for what is refused. `buffer_kb`: of each CPU."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # it ends with its input, and never before it has tidied up
    try:
        root = Path(trace_instance.tracefs())
        trace_instance.sweep(root)
        with trace_instance.instance(root) as folder:
            traced = _trace(folder, buffer_kb)
        if traced is not None:
            _say(traced)
    except OSError as error:
        _say(TracedConnects(why=f"tracefs: {error.strerror}: {error.filename}"))
    except (EstabError, ImportError) as error:
        _say(TracedConnects(why=str(error)))


def _say(said: TracedConnects) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
        sys.stdout.buffer.flush()


def _trace(folder: Path, buffer_kb: int) -> TracedConnects | None:
    """The result; None where the input closed."""
    from estab._engine import trace

    formats = tuple(switched_on(folder, event) for event in _EVENTS)
    decoder = trace(formats)
    with _pages_of(folder, buffer_kb) as pages:
        _say(TracedConnects())
        orders, listeners, refused, ended = _Orders(decoder), _Listeners(decoder), _Refused(decoder), None
        while ended is None:
            ended = orders.obey()
            # Whom to follow may be told after he has begun: until then all is kept, and nothing settled.
            _drain(pages, decoder, after_ns=_SETTLED_NS if orders.followed else time.monotonic_ns())
            listeners.look()
            refused.look()
        if not ended:
            return None
        _drain(pages, decoder, after_ns=-_LONG_NS)  # nothing is to come that would say more
    absent = [event.without for event, places in zip(_EVENTS, formats, strict=True) if places == _ABSENT]
    return msgspec.structs.replace(
        _result(folder, decoder, listeners), refused=refused.processes(), unseen=list(dict.fromkeys(absent))
    )


def switched_on(folder: Path, event: Event) -> tuple[int, ...]:
    """Its id and the places of its fields; where this kernel has none such and it can be done without, `_ABSENT`."""
    at = folder / "events" / event.name
    try:
        places = tracefs.parse_format((at / "format").read_bytes()).offsets(event.sizes)
    except (FileNotFoundError, ParseError):
        if event.without:
            return _ABSENT
        raise
    if event.wanted:
        (at / "filter").write_text(event.wanted)
    (at / "enable").write_text("1")
    return places


@contextlib.contextmanager
def _pages_of(folder: Path, buffer_kb: int) -> Iterator[list[int]]:
    """Each CPU's pages, as descriptors. The clock is set before, which empties the buffer."""
    cpus = sorted((folder / "per_cpu").glob("cpu*"))
    (folder / "trace_clock").write_text("mono")
    (folder / "buffer_size_kb").write_text(str(min(buffer_kb, max(64, _MOST_KB // len(cpus)))))
    with contextlib.ExitStack() as stack:
        opened = []
        for cpu in cpus:
            opened.append(os.open(cpu / "trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
            stack.callback(os.close, opened[-1])
        yield opened


class _Orders:
    """What stands on standard input."""

    def __init__(self, decoder: Trace) -> None:
        self._decoder = decoder
        self._pending = b""
        self.followed = False

    def obey(self) -> bool | None:
        """What came within the time from one drain to the next. True: end; False: the input closed; None: go on."""
        if not select.select([0], [], [], _DRAIN_EVERY_S)[0]:
            return None
        data = os.read(0, 65536)
        if not data:
            return False
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            if line == b"end":
                return True
            self._follow(int(line.removeprefix(b"follow ")))
        return None

    def _follow(self, pid: int) -> None:
        """The process and its threads, which share its descriptors."""
        for tid in dict.fromkeys([pid, *process_tree.tasks([pid])]):
            self._decoder.follow(tid, pid, time.monotonic_ns())
        self.followed = True


class _Listeners:
    """Which sockets connections are accepted from: told by /proc/TID/fd while they are open."""

    def __init__(self, decoder: Trace) -> None:
        self._decoder = decoder
        self._known: list[tuple[int | None, bool]] = []

    def look(self) -> None:
        """Find out of those that have been used since the last look."""
        for tid, descriptor, *_ in self._decoder.acceptors()[len(self._known) :]:
            self._known.append(_socket_at(f"/proc/{tid}/fd/{descriptor}"))

    def accepts(self) -> list[TracedAccepts]:
        """What each accepted, processes that share one together."""
        self.look()
        told: dict[tuple[int | None, bool], TracedAccepts] = {}
        for (inode, unix), (_tid, _fd, accepted, failures) in zip(self._known, self._decoder.acceptors(), strict=True):
            listener = told.setdefault((inode, unix), TracedAccepts(inode, unix, 0, []))
            listener.accepted += accepted
            listener.failures += [FailureCount(*each) for each in failures]
        return list(told.values())


class _Refused:
    """Who beside those that are followed found a UNIX accept queue full: told by /proc/TID while it runs."""

    def __init__(self, decoder: Trace) -> None:
        self._decoder = decoder
        self._known: dict[int, tuple[int | None, str | None, int | None]] = {}

    def look(self) -> None:
        """Find out of those that are new since the last look."""
        for tid, *_ in self._decoder.refused():
            if tid not in self._known:
                self._known[tid] = _process_of(tid)

    def processes(self) -> list[TracedRefused]:
        """All of them, the threads of one process together."""
        self.look()
        told: dict[tuple[int | None, str | None, int | None], TracedRefused] = {}
        for tid, count, first_ns, last_ns in self._decoder.refused():
            who = self._known[tid]
            process = told.setdefault(who, TracedRefused(*who, 0, first_ns, last_ns))
            process.count += count
            process.first_ns, process.last_ns = min(process.first_ns, first_ns), max(process.last_ns, last_ns)
        return sorted(told.values(), key=lambda process: -process.count)


def _process_of(tid: int) -> tuple[int | None, str | None, int | None]:
    """The pid and the name of a thread's process, and the inode of its network namespace; None where it is gone."""
    try:
        status = Path(f"/proc/{tid}/status").read_text(encoding="utf-8", errors="replace")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        return int(fields["Tgid"]), fields["Name"], os.stat(f"/proc/{tid}/ns/net").st_ino
    except (OSError, KeyError, ValueError):
        return None, None, None


def _socket_at(path: str) -> tuple[int | None, bool]:
    """Its inode, and whether it is a UNIX socket (`sockfs_xattr_get` in net/socket.c names the protocol)."""
    try:
        inode = int(os.readlink(path).removeprefix("socket:[").removesuffix("]"))
        return inode, os.getxattr(path, "system.sockprotoname").startswith(b"UNIX")
    except (OSError, ValueError):
        return None, False


def _drain(pages: list[int], decoder: Trace, *, after_ns: int) -> None:
    """Take what is there, and settle what happened up to so long before."""
    now_ns = time.monotonic_ns()
    for page in pages:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(page, _PAGE_BYTES):
                decoder.add(data)
    decoder.turn(max(0, now_ns - after_ns))


def _result(folder: Path, decoder: Trace, listeners: _Listeners) -> TracedConnects:
    totals = decoder.totals()
    counts = array("Q", totals["histogram"])
    lost = 0
    for cpu in (folder / "per_cpu").glob("cpu*"):
        with contextlib.suppress(ParseError):
            lost += tracefs.parse_stats((cpu / "stats").read_bytes())
    return TracedConnects(
        targets=[
            TracedTarget(inet_diag.plain_address(row[0]), *row[1:8], [FailureCount(*each) for each in row[8]])
            for row in decoder.targets()
        ],
        connect_ns=[(index, count) for index, count in enumerate(counts) if count],
        sum_ns=totals["sum_ns"],
        max_ns=totals["max_ns"],
        resent=list(array("Q", totals["resent"])),
        socket_failures=[FailureCount(*each) for each in totals["socket_failures"]],
        bind_failures=[FailureCount(*each) for each in totals["bind_failures"]],
        connect_failures=[FailureCount(*each) for each in totals["connect_failures"]],
        accepts=listeners.accepts(),
        unix_connects=totals["unix_connects"],
        unix_failures=[FailureCount(*each) for each in totals["unix_failures"]],
        events=totals["events"],
        lost=lost,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
