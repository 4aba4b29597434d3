"""What runs in the process that traces connects, which `connect_trace` starts.

On standard input it reads `follow PID` and `end`, a line each. It says once that it traces, or why it can't, and at the
end what it counted, which `traced_connects` reads: each time 4 bytes of length and that much of `marshal`. When its
input closes, as it does when estab is killed, it ends without a word. Either way its tracefs instance is gone then. The
kernel leaves out what no connect needs; what is left is decoded in C, page by page.

It imports as little as it can: what is traced waits for its start.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` is made of; that one imports enum besides
import contextlib
import marshal
import os
import select
import sys
import time

from estab.errors import EstabError, ParseError
from estab.kernel.formats import trace_events
from estab.observe import trace_instance

TYPE_CHECKING = False  # as typing's, which would take a while to import
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

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


class WantedEvent:
    """An event, the sizes of its fields, what the kernel lets through, and what is not seen without it (empty: all)."""

    def __init__(self, name: str, sizes: Mapping[str, int], wanted: str = "", without: str = "") -> None:
        self.name, self.sizes, self.wanted, self.without = name, sizes, wanted, without


# In the order of `enum event_kind` in event.h.
_EVENTS = (
    WantedEvent(
        "sock/inet_sock_set_state",
        {"skaddr": 8, "oldstate": 4, "newstate": 4, **_TUPLE},
        "protocol == 6 && (newstate == 2 || oldstate == 2 || newstate == 7)",  # TCP; SYN_SENT, CLOSE
    ),
    WantedEvent("tcp/tcp_retransmit_skb", _SOCKET, without="packets that were sent again"),
    WantedEvent("tcp/tcp_receive_reset", _SOCKET, without="RSTs that were received"),
    WantedEvent("tcp/tcp_send_reset", _SOCKET, without="RSTs that were sent"),
    WantedEvent(
        "sock/inet_sk_error_report", {"error": 4, **_TUPLE}, "protocol == 6", "why a connect failed that did not block"
    ),
    WantedEvent("task/task_newtask", {"pid": 4, "clone_flags": 8}),
    WantedEvent(
        "syscalls/sys_enter_socket",
        {"family": 8, "type": 8},
        "family == 1 || family == 2 || family == 10",  # UNIX, IPv4, IPv6
        _CALLS,
    ),
    WantedEvent("syscalls/sys_exit_socket", _RETURN, "", _CALLS),
    WantedEvent("syscalls/sys_enter_connect", _DESCRIPTOR, "", _CALLS),
    WantedEvent("syscalls/sys_exit_connect", _RETURN, "ret < 0 && ret != -115", _CALLS),  # EINPROGRESS
    WantedEvent("syscalls/sys_enter_accept", _DESCRIPTOR, "", _CALLS),
    WantedEvent("syscalls/sys_enter_accept4", _DESCRIPTOR, "", _CALLS),
    WantedEvent("syscalls/sys_exit_accept", _RETURN, _ACCEPTED, _CALLS),
    WantedEvent("syscalls/sys_exit_accept4", _RETURN, _ACCEPTED, _CALLS),
    WantedEvent("syscalls/sys_enter_bind", _DESCRIPTOR, "", _BINDS),
    WantedEvent("syscalls/sys_exit_bind", _RETURN, "ret < 0", _BINDS),
)


def main() -> None:
    """Trace until the input says `end`, or closes. Never raises for what is refused.

    The command line's first word is the size of each CPU's buffer in KiB.
    """
    buffer_kb = int(sys.argv[1])
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _signal.SIG_IGN)  # it ends with its input, and never before it has tidied up
    try:
        root = trace_instance.tracefs()
        trace_instance.sweep(root)
        with trace_instance.instance(root) as folder:
            traced = _trace(folder, buffer_kb)
        if traced is not None:
            _say(traced)
    except OSError as error:
        _say({"why": f"tracefs: {error.strerror}: {error.filename}"})
    except (EstabError, ImportError) as error:
        _say({"why": str(error)})


def _say(said: dict[str, Any]) -> None:
    data = marshal.dumps(said)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(len(data).to_bytes(4, sys.byteorder) + data)
        sys.stdout.buffer.flush()


def _trace(folder: str, buffer_kb: int) -> dict[str, Any] | None:
    """What was counted; None where the input closed."""
    from estab._engine import trace

    formats = tuple(switched_on(folder, event) for event in _EVENTS)
    decoder = trace(formats)
    with _pages_of(folder, buffer_kb) as pages:
        _say({"why": None})
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
    return {
        "targets": decoder.targets(),
        "totals": decoder.totals(),
        "accepts": listeners.accepts(),
        "refused": refused.threads(),
        "lost": _lost(folder),
        "unseen": list(dict.fromkeys(absent)),
    }


def switched_on(folder: str, event: WantedEvent) -> tuple[int, ...]:
    """Its id and the places of its fields; where this kernel has none such and it can be done without, `_ABSENT`."""
    at = f"{folder}/events/{event.name}"
    try:
        places = trace_events.parse_format(_read(f"{at}/format")).offsets(event.sizes)
    except (FileNotFoundError, ParseError):
        if event.without:
            return _ABSENT
        raise
    if event.wanted:
        _write(f"{at}/filter", event.wanted)
    _write(f"{at}/enable", "1")
    return places


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _cpus(folder: str) -> list[str]:
    """The folder of each CPU's buffer."""
    return [f"{folder}/per_cpu/{name}" for name in sorted(os.listdir(f"{folder}/per_cpu"))]


@contextlib.contextmanager
def _pages_of(folder: str, buffer_kb: int) -> Iterator[list[int]]:
    """Each CPU's pages, as descriptors. The clock is set before, which empties the buffer."""
    cpus = _cpus(folder)
    _write(f"{folder}/trace_clock", "mono")
    _write(f"{folder}/buffer_size_kb", str(min(buffer_kb, max(64, _MOST_KB // len(cpus)))))
    with contextlib.ExitStack() as stack:
        opened = []
        for cpu in cpus:
            opened.append(os.open(f"{cpu}/trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
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
        for tid in dict.fromkeys([pid, *_threads(pid)]):
            self._decoder.follow(tid, pid, time.monotonic_ns())
        self.followed = True


def _threads(pid: int) -> list[int]:
    try:
        return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]
    except OSError:  # it is gone
        return []


class _Listeners:
    """Which sockets connections are accepted from: told by /proc/TID/fd while they are open."""

    def __init__(self, decoder: Trace) -> None:
        self._decoder = decoder
        self._known: list[tuple[int | None, bool]] = []

    def look(self) -> None:
        """Find out of those that have been used since the last look."""
        for tid, descriptor, *_ in self._decoder.acceptors()[len(self._known) :]:
            self._known.append(_socket_at(f"/proc/{tid}/fd/{descriptor}"))

    def accepts(self) -> list[tuple[object, ...]]:
        """Each: its inode, whether it is a UNIX socket, how much one process accepted there, and failures."""
        self.look()
        accepted = (used[2:] for used in self._decoder.acceptors())
        return [(*known, *used) for known, used in zip(self._known, accepted, strict=True)]


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

    def threads(self) -> list[tuple[object, ...]]:
        """Each: its process, that one's name and network namespace, how often, when first and when last."""
        self.look()
        return [(*self._known[tid], *counts) for tid, *counts in self._decoder.refused()]


def _process_of(tid: int) -> tuple[int | None, str | None, int | None]:
    """The pid and the name of a thread's process, and the inode of its network namespace; None where it is gone."""
    try:
        status = _read(f"/proc/{tid}/status").decode("utf-8", "replace")
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


def _lost(folder: str) -> int:
    lost = 0
    for cpu in _cpus(folder):
        with contextlib.suppress(ParseError):
            lost += trace_events.parse_stats(_read(f"{cpu}/stats"))
    return lost
