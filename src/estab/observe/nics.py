"""The network interfaces of this thread's network namespace: what they dropped, and what a cloud allows them.

By ioctl on a socket, which belongs to the namespace that it was made in; /sys/class/net shows that of its mount.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

from estab.kernel.formats import interfaces
from estab.observe.counters import NetFile
from estab.observe.gaps import Gaps
from estab.records import Nic

_SIOCETHTOOL, _SIOCGIFMTU = 0x8946, 0x8921
_MOST_STATISTICS = 10_000
# EC2's ENA driver: conntrack_allowance_exceeded, …_available, bw_in_allowance_exceeded, … (docs/kernel.md rule 30).
_TELLING = "allowance"


def read(gaps: Gaps) -> list[Nic] | None:
    """Every interface with its drops, MTU and driver, and the statistics that tell of allowances."""
    counted = gaps.read("nics", lambda: interfaces.parse_dev(_read_dev()))
    if counted is None:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
        return [
            Nic(
                name=name,
                driver=_driver(handle, name),
                mtu=gaps.read(f"nics.{name}.mtu", lambda name=name: _mtu(handle, name)),  # type: ignore[misc]
                rx_dropped=drops.rx_dropped,
                tx_dropped=drops.tx_dropped,
                allowances=_allowances(handle, name, gaps),
            )
            for name, drops in counted.items()
        ]


def _read_dev() -> bytes:
    with NetFile("dev") as file:
        return file.read()


def _driver(handle: socket.socket, name: str) -> str | None:
    """The driver's name; None for interfaces without one (lo)."""
    try:
        return interfaces.driver(_ethtool(handle, name, interfaces.drvinfo_request())) or None
    except OSError:
        return None


def _mtu(handle: socket.socket, name: str) -> int:
    answer = fcntl.ioctl(handle, _SIOCGIFMTU, struct.pack("16si12x", name.encode(), 0))
    mtu: int = struct.unpack("16si12x", answer)[1]
    return mtu


def _allowances(handle: socket.socket, name: str, gaps: Gaps) -> dict[str, int]:
    """The driver's statistics whose name has `allowance`; none where the driver keeps none."""
    try:
        count = interfaces.set_size(_ethtool(handle, name, interfaces.set_info_request()))
        if not 0 < count <= _MOST_STATISTICS:
            return {}
        names = _ethtool(handle, name, interfaces.strings_request(count))
        if _TELLING.encode() not in names:
            return {}
        values = _ethtool(handle, name, interfaces.stats_request(count))
    except PermissionError as error:
        gaps.note(f"nics.{name}.allowances", f"ethtool statistics: {error.strerror}: run as root")
        return {}
    except OSError:  # EOPNOTSUPP: this driver keeps no statistics, so it has no allowance to tell of
        return {}
    return {key: value for key, value in interfaces.statistics(names, values).items() if _TELLING in key}


def _ethtool(handle: socket.socket, name: str, request: bytes) -> bytes:
    """What the kernel made of `request` (a `struct ethtool_…`). Raises OSError (netdevice(7), net/ethtool/ioctl.c)."""
    buffer = ctypes.create_string_buffer(request, len(request))
    fcntl.ioctl(handle, _SIOCETHTOOL, struct.pack("16sP16x", name.encode()[:15], ctypes.addressof(buffer)))
    return buffer.raw
