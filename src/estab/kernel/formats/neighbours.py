"""The neighbour tables (ARP, NDP) as rtnetlink tells of them: how full each is, and how often it was.

What lives here: RTM_GETNEIGHTBL and its answer, `struct ndtmsg`, `ndt_config` and `ndt_stats`
(include/uapi/linux/neighbour.h; `neightbl_fill_info`, net/core/neighbour.c). The tables are the machine's: every
network namespace is told the same, where /proc/net/stat/arp_cache is in the initial one alone.
"""

from __future__ import annotations

from struct import Struct

from estab.errors import ParseError
from estab.kernel.formats import netlink
from estab.records import NeighbourTable

_NEWNEIGHTBL, _GETNEIGHTBL = 64, 66
_HEAD = Struct("=BBH")  # struct ndtmsg
_NAME, _THRESH3, _CONFIG, _STATS = 1, 4, 5, 7
_NUMBER = Struct("=I")
_ENTRIES = Struct("=4xI")  # of struct ndt_config
_TABLE_FULLS = Struct("=80xQ")  # of struct ndt_stats, the eleventh (Linux 4.3)


def request(sequence: int = 1) -> bytes:
    """The question for all neighbour tables."""
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    return netlink.HEADER.pack(netlink.HEADER.size + _HEAD.size, _GETNEIGHTBL, flags, sequence, 0) + _HEAD.pack(0, 0, 0)


class NeighbourTables:
    """Collects a dump: `add` each datagram, until it says that it was the last; then `tables`."""

    def __init__(self) -> None:
        self.tables: list[NeighbourTable] = []

    def add(self, data: bytes) -> bool:
        """Take one datagram; whether the dump is over. Raises ParseError where it is damaged, or tells of an error."""
        for message in netlink.messages(data):
            if message.kind in (netlink.NLMSG_ERROR, netlink.NLMSG_DONE):
                if number := netlink.error_number(data, message):
                    raise ParseError(f"the kernel answers with errno {number}", message.start)
                return True
            if message.kind == _NEWNEIGHTBL and (table := _table(data, message)) is not None:
                self.tables.append(table)
        return False


def _table(data: bytes, message: netlink.Message) -> NeighbourTable | None:
    """One table; None: the message is about an interface's own parameters."""
    values = {
        kind: data[start:end]
        for kind, start, end in netlink.attributes(data, message.start + _HEAD.size, message.end)
        if kind in (_NAME, _THRESH3, _CONFIG, _STATS)
    }
    name, config, stats = values.get(_NAME), values.get(_CONFIG), values.get(_STATS)
    if name is None or config is None:
        return None
    if len(config) < _ENTRIES.size:
        raise ParseError(f"the configuration of a neighbour table has {len(config)} bytes", message.start)
    most, has_fulls = values.get(_THRESH3), stats is not None and len(stats) >= _TABLE_FULLS.size
    return NeighbourTable(
        name=name.rstrip(b"\0").decode("ascii", "replace"),
        entries=_ENTRIES.unpack_from(config)[0],
        maximum=_NUMBER.unpack(most)[0] if most is not None and len(most) == _NUMBER.size else None,
        table_fulls=_TABLE_FULLS.unpack_from(stats or b"")[0] if has_fulls else None,
    )
