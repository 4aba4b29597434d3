"""Network interfaces: /proc/net/dev, and the answers of the ethtool ioctl.

What lives here: `dev_seq_printf_stats` (net/core/net-procfs.c); `struct ethtool_drvinfo`, `ethtool_sset_info`,
`ethtool_gstrings` and `ethtool_stats` (include/uapi/linux/ethtool.h).
"""

from __future__ import annotations

from struct import Struct, unpack_from

from estab.errors import ParseError
from estab.kernel.formats import words
from estab.records import Record

GDRVINFO, GSTRINGS, GSTATS, GSSET_INFO = 0x03, 0x1B, 0x1D, 0x37
SET_STATISTICS = 1  # ETH_SS_STATS
STRING_SIZE = 32  # ETH_GSTRING_LEN
DRVINFO_SIZE = 196

_COMMAND = Struct("=I")
_SET_INFO = Struct("=IIQI")
_STRINGS = Struct("=III")
_STATS = Struct("=II")
_RX_DROPPED, _TX_DROPPED, _FIELDS = 3, 11, 16


class DeviceCounters(Record, frozen=True, kw_only=True):
    """Packets that an interface dropped, totals since it was made."""

    rx_dropped: int
    tx_dropped: int


def parse_dev(data: bytes) -> dict[str, DeviceCounters]:
    """/proc/net/dev by interface. Raises ParseError where a line below the two of the head is not one."""
    devices: dict[str, DeviceCounters] = {}
    offset = 0
    for number, line in enumerate(data.splitlines(keepends=True)):
        if number >= 2:
            name, colon, rest = line.rpartition(b":")
            values = rest.split()
            if not colon or len(values) < _FIELDS:
                raise ParseError(f"not a line of /proc/net/dev: {line[:40]!r}", offset)
            devices[words.text(name)] = DeviceCounters(
                rx_dropped=words.decimal(values[_RX_DROPPED], offset),
                tx_dropped=words.decimal(values[_TX_DROPPED], offset),
            )
        offset += len(line)
    return devices


def drvinfo_request() -> bytes:
    """`struct ethtool_drvinfo` to be filled."""
    return _COMMAND.pack(GDRVINFO).ljust(DRVINFO_SIZE, b"\0")


def driver(data: bytes) -> str:
    """The driver's name in `ethtool_drvinfo`. Raises ParseError where it is too short or no text."""
    if len(data) < 4 + STRING_SIZE:
        raise ParseError(f"ethtool_drvinfo of {len(data)} bytes", 0)
    return words.text(data[4 : 4 + STRING_SIZE].split(b"\0", 1)[0])


def set_info_request() -> bytes:
    """`struct ethtool_sset_info` that asks how many statistics there are."""
    return _SET_INFO.pack(GSSET_INFO, 0, 1 << SET_STATISTICS, 0)


def set_size(data: bytes) -> int:
    """How many statistics `ethtool_sset_info` says there are; 0 where it knows of none. Raises ParseError."""
    if len(data) < _SET_INFO.size:
        raise ParseError(f"ethtool_sset_info of {len(data)} bytes", 0)
    _, _, mask, count = _SET_INFO.unpack_from(data)
    return int(count) if mask & 1 << SET_STATISTICS else 0


def strings_request(count: int) -> bytes:
    """`struct ethtool_gstrings` with room for the names of `count` statistics."""
    return _STRINGS.pack(GSTRINGS, SET_STATISTICS, count) + bytes(count * STRING_SIZE)


def stats_request(count: int) -> bytes:
    """`struct ethtool_stats` with room for `count` values."""
    return _STATS.pack(GSTATS, count) + bytes(8 * count)


def statistics(names: bytes, values: bytes) -> dict[str, int]:
    """The statistics by name, from a filled `ethtool_gstrings` and `ethtool_stats`. Raises ParseError."""
    if len(names) < _STRINGS.size or len(values) < _STATS.size:
        raise ParseError(f"ethtool answers of {len(names)} and {len(values)} bytes", 0)
    count = min(_STRINGS.unpack_from(names)[2], _STATS.unpack_from(values)[1])
    if len(names) < _STRINGS.size + count * STRING_SIZE or len(values) < _STATS.size + count * 8:
        raise ParseError(f"{count} statistics do not fit in {len(names)} and {len(values)} bytes", 0)
    counted: dict[str, int] = {}
    for index in range(count):
        at = _STRINGS.size + index * STRING_SIZE
        name = names[at : at + STRING_SIZE].split(b"\0", 1)[0].decode("utf-8", "replace").strip()
        counted[name] = unpack_from("=Q", values, _STATS.size + 8 * index)[0]
    return counted
