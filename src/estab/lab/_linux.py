"""The few system calls that the lab needs and Python 3.11 lacks: unshare, setns, prctl, ethtool's ioctl.

What lives here: calls, each with its error in words. What never may: a decision.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct

CLONE_NEWNET = 0x40000000
CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
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
            fcntl.ioctl(handle, _SIOCETHTOOL, struct.pack("16sQ8x", link.encode(), ctypes.addressof(value)))
