"""What runs in the process that traces drops: `python -m estab.observe.tracer SECONDS`. One JSON line comes out.

A process of its own, because it may need a mount namespace of its own: where tracefs is not mounted, it is mounted
there and goes away with the process. It makes a tracefs instance (its own buffers and switches: the host's tracing is
not touched) and removes it at its end. That end also comes when its standard input closes, which it does when estab is
killed. Where this process itself is killed, estab runs it again with `sweep`; and where both were killed, the next run
removes what the dead ones left: an instance's name says whose it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from estab.errors import EstabError, MachineError, ParseError
from estab.kernel.formats import proc_pid, tracefs
from estab.records import DropReasons

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x00020000, 0x4000, 1 << 18
_MOUNT_POINT = "/sys/kernel/tracing"
_KFREE, _EVENTS = "skb/kfree_skb", ("tcp/tcp_send_reset", "tcp/tcp_receive_reset", "tcp/tcp_retransmit_synack")
_ONLY_IP = "protocol == 2048 || protocol == 34525"
_PIPE_BYTES = 1 << 16


class Traced(msgspec.Struct):
    """What the tracing process prints. `why` says what kept it from tracing; `lost` events did not fit its buffer."""

    reasons: DropReasons | None = None
    lost: int = 0
    why: str | None = None


def main(arguments: list[str]) -> Traced:
    """Trace for so many seconds, or `sweep`: remove what dead processes left. Never raises for what is refused."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    try:
        root = Path(_tracefs())
        _sweep(root)
        if arguments == ["sweep"]:
            return Traced()
        with _instance(root) as folder:
            return _trace(folder, float(arguments[0]))
    except OSError as error:
        return Traced(why=f"tracefs: {error.strerror}: {error.filename}: run as root")
    except EstabError as error:
        return Traced(why=str(error))


def _tracefs() -> str:
    """Where tracefs is mounted, after mounting it in a mount namespace of our own where it is not.

    A mount that is there is used as it is: mounting again would set its options anew for all (`tracefs_reconfigure`).
    """
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("tracefs "):
            return before.split()[4]
    if not os.path.isdir(_MOUNT_POINT):
        raise MachineError("this kernel has no tracefs (CONFIG_FTRACE)")
    libc = ctypes.CDLL(None, use_errno=True)
    nothing, everywhere = ctypes.c_void_p(), ctypes.c_ulong(_MS_REC | _MS_PRIVATE)
    if (
        libc.unshare(_CLONE_NEWNS) != 0
        or libc.mount(b"none", b"/", nothing, everywhere, nothing) != 0
        or libc.mount(b"tracefs", _MOUNT_POINT.encode(), b"tracefs", ctypes.c_ulong(0), nothing) != 0
    ):
        why = os.strerror(ctypes.get_errno())
        raise MachineError(f"tracefs is not mounted and may not be mounted here ({why}): run as root of the host")
    return _MOUNT_POINT


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _started(pid: int) -> int | None:
    """When a process started, in ticks since boot; None where it is gone, or dead and not yet waited for."""
    try:
        data = Path(f"/proc/{pid}/stat").read_bytes()
        stat = proc_pid.parse_stat(data, 100)
    except (OSError, ParseError):
        return None
    return None if data.rpartition(b")")[2].split()[0] in (b"Z", b"X") else stat.start_ticks


def _sweep(root: Path) -> None:
    """Remove the instances of dead tracing processes of this pid namespace."""
    for folder in (root / "instances").glob(f"estab-{_pid_namespace()}-*"):
        *_, pid, started = folder.name.split("-")
        if pid.isdigit() and started.isdigit() and _started(int(pid)) != int(started):
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _instance(root: Path) -> Iterator[Path]:
    pid = os.getpid()
    folder = root / "instances" / f"estab-{_pid_namespace()}-{pid}-{_started(pid)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.rmdir()  # its events end with it; tracefs wants no emptying first


def _trace(folder: Path, seconds: float) -> Traced:
    names = tracefs.parse_reasons((folder / "events" / _KFREE / "format").read_bytes())
    (folder / "events" / _KFREE / "filter").write_text(_ONLY_IP)
    for event in (_KFREE, *_EVENTS):
        (folder / "events" / event / "enable").write_text("1")
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    began = time.monotonic()
    for line in _lines(folder / "trace_pipe", began + seconds):
        with contextlib.suppress(ParseError):  # an event that was cut short at the end of a read of a full buffer
            _count(tracefs.parse_line(line), names, counts, reasons)
    drops = DropReasons(
        seconds=round(time.monotonic() - began, 3),
        kfree_skb=dict(sorted(reasons.items())),
        resets_sent=counts["tcp_send_reset"],
        resets_received=counts["tcp_receive_reset"],
        synack_retransmits=counts["tcp_retransmit_synack"],
    )
    return Traced(reasons=drops, lost=counts["lost"])


def _count(event: tracefs.Event | None, names: dict[int, str], counts: Counter[str], reasons: Counter[str]) -> None:
    if event is None:
        return
    if event.lost:
        counts["lost"] += event.lost
    elif event.name != "kfree_skb":
        counts[event.name] += 1
    elif tracefs.may_be_tcp(event):
        reasons[tracefs.reason_of(event, names)] += 1


def _lines(path: Path, deadline: float) -> Iterator[bytes]:
    """The lines of trace_pipe until the deadline, or until standard input closes."""
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    pending = b""
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready = select.select([pipe, 0], [], [], left)[0]
            if 0 in ready:
                return
            if pipe in ready:
                with contextlib.suppress(BlockingIOError):
                    *lines, pending = (pending + os.read(pipe, _PIPE_BYTES)).split(b"\n")
                    yield from lines
    finally:
        os.close(pipe)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(sys.argv[1:])) + b"\n")
