"""The few system calls that the lab needs and Python 3.11 lacks: unshare, setns, mount, prctl, ethtool's ioctl.

What lives here: calls, each with its error in words. What never may: a decision.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNS = 0x00020000
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK, _PR_SET_CHILD_SUBREAPER = 1, 29, 36
_GOES_FIRST = -10  # nice(2): nine times the share of a process that has 0
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
_HOSTS = "/etc/hosts"
_SIOCETHTOOL = 0x8946
_OFFLOADS = {"tx-checksum": 0x17, "tso": 0x1F, "gso": 0x24}  # `include/uapi/linux/ethtool.h ETHTOOL_S…`

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    _call("unshare", flags)


def setns(file: int) -> None:
    """Move this thread into the network namespace that `file` is. Raises OSError."""
    _call("setns", file, CLONE_NEWNET)


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when the thread that started it ends, however that happens (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def die_with(process: int) -> None:
    """The same where the parent's number can't be seen, across PID namespaces; `process` is the parent's pidfd."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if select.select([process], [], [], 0)[0]:
        os._exit(1)


def outlive_parent() -> None:
    """Takes `die_with_parent` back."""
    _libc.prctl(_PR_SET_PDEATHSIG, 0)


def adopt_orphans() -> None:
    """Descendants whose parent ends become this process's children, also those in a session of their own (prctl(2))."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def wake_in_time() -> None:
    """What this thread waits for ends when it is due, not up to 50 µs later, as by default (prctl(2))."""
    _libc.prctl(_PR_SET_TIMERSLACK, 1)


def go_first() -> None:
    """Others give way to this process for a core (setpriority(2)), where it may ask for that, as root may."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _GOES_FIRST)


def mounts_private() -> None:
    """What is mounted from here on stays in this mount namespace. Raises OSError."""
    _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE)


def mount_proc() -> None:
    """A /proc of this PID namespace, over the one that is there. Raises OSError."""
    _mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def _mount(source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
    if _libc.mount(source, target, kind, ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target.decode()}: {os.strerror(number)}")


def add_hosts(addresses: Sequence[tuple[str, str]]) -> None:
    """From here on the resolver of this process has these (address, name) too, in that order. Raises OSError.

    /etc/hosts is another file, in a mount namespace of this process's own.
    """
    unshare(CLONE_NEWNS)
    mounts_private()
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as hosts:
        hosts.write("".join(f"{address} {name}\n" for address, name in addresses))
        hosts.write(Path(_HOSTS).read_text(encoding="utf-8"))
        hosts.flush()
        os.chmod(hosts.name, 0o644)
        _mount(hosts.name.encode(), _HOSTS.encode(), None, _MS_BIND)


def network_namespace() -> int:
    """The inode of this thread's network namespace."""
    return os.stat("/proc/thread-self/ns/net").st_ino


def open_network_namespace() -> int:
    """A descriptor that keeps this thread's network namespace and lets others enter it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def offloads_off(link: str) -> None:
    """No checksum or segmentation is put off to a device that a relay stands in for: what passes is what is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
        for command in _OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
            fcntl.ioctl(handle, _SIOCETHTOOL, struct.pack("16sP16x", link.encode(), ctypes.addressof(value)))
