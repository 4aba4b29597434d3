"""A tracefs instance: buffers and switches of its own, so that the host's tracing is not touched.

For a process that does nothing else, because it may need a mount namespace of its own: where tracefs is not mounted,
it is mounted there and goes away with the process. An instance's name says whose it is: where a tracing process was
killed, the next one removes what it left.
"""

from __future__ import annotations

import contextlib
import os

from estab.errors import MachineError

TYPE_CHECKING = False  # as typing's, which would take a while to import
if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x00020000, 0x4000, 1 << 18
_MOUNT_POINT = "/sys/kernel/tracing"


def tracefs() -> str:
    """Where tracefs is mounted, after mounting it in a mount namespace of our own where it is not.

    A mount that is there is used as it is: mounting again would set its options anew for all (`tracefs_reconfigure`).
    """
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            if after.startswith("tracefs "):
                return before.split()[4]
    if not os.path.isdir(_MOUNT_POINT):
        raise MachineError("this kernel has no tracefs (CONFIG_FTRACE)")
    _mount()
    return _MOUNT_POINT


def _mount() -> None:
    import ctypes  # where it is mounted, nobody waits for this

    libc = ctypes.CDLL(None, use_errno=True)
    nothing, everywhere = ctypes.c_void_p(), ctypes.c_ulong(_MS_REC | _MS_PRIVATE)
    if (
        libc.unshare(_CLONE_NEWNS) != 0
        or libc.mount(b"none", b"/", nothing, everywhere, nothing) != 0
        or libc.mount(b"tracefs", _MOUNT_POINT.encode(), b"tracefs", ctypes.c_ulong(0), nothing) != 0
    ):
        why = os.strerror(ctypes.get_errno())
        raise MachineError(f"tracefs is not mounted and may not be mounted here ({why}): run as root of the host")


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _started(pid: int) -> int | None:
    """When a process started, in ticks since boot; None where it is gone, or dead and not yet waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # from the third on, as proc_pid_stat(5) counts them
    except OSError:
        return None
    return None if not fields or fields[0] in (b"Z", b"X") else int(fields[19])


def sweep(root: str) -> None:
    """Remove the instances of dead tracing processes of this pid namespace."""
    ours = f"estab-{_pid_namespace()}-"
    for name in filter(lambda name: name.startswith(ours), os.listdir(f"{root}/instances")):
        pid, _, started = name.removeprefix(ours).partition("-")
        if pid.isdigit() and started.isdigit() and _started(int(pid)) != int(started):
            with contextlib.suppress(OSError):
                os.rmdir(f"{root}/instances/{name}")


@contextlib.contextmanager
def instance(root: str) -> Iterator[str]:
    """The folder of a new instance, which is removed at the end of the block. Raises OSError where it can't be."""
    pid = os.getpid()
    folder = f"{root}/instances/estab-{_pid_namespace()}-{pid}-{_started(pid)}"
    os.mkdir(folder)
    try:
        yield folder
    finally:
        os.rmdir(folder)  # its events end with it; tracefs wants no emptying first
