"""A tracefs instance: buffers and switches of its own, so that the host's tracing is not touched.

For a process that does nothing else, because it may need a mount namespace of its own: where tracefs is not mounted,
it is mounted there and goes away with the process. An instance's name says whose it is: where a tracing process was
killed, the next one removes what it left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from estab.errors import MachineError, ParseError
from estab.kernel.formats import proc_pid

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x00020000, 0x4000, 1 << 18
_MOUNT_POINT = "/sys/kernel/tracing"


def tracefs() -> str:
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


def sweep(root: Path) -> None:
    """Remove the instances of dead tracing processes of this pid namespace."""
    for folder in (root / "instances").glob(f"estab-{_pid_namespace()}-*"):
        *_, pid, started = folder.name.split("-")
        if pid.isdigit() and started.isdigit() and _started(int(pid)) != int(started):
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def instance(root: Path) -> Iterator[Path]:
    """The folder of a new instance, which is removed at the end of the block. Raises OSError where it can't be."""
    pid = os.getpid()
    folder = root / "instances" / f"estab-{_pid_namespace()}-{pid}-{_started(pid)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.rmdir()  # its events end with it; tracefs wants no emptying first
