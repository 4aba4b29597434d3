"""The answer, counted without an object for any socket: for questions with a hundred thousand answers."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from struct import Struct
from typing import TypeVar

from estab.errors import ParseError
from estab.kernel.formats import netlink
from estab.kernel.formats.inet_diag.addresses import NOBODY, mapped, plain_address
from estab.kernel.formats.inet_diag.packing import CONNECTION
from estab.kernel.formats.inet_diag.request import KINDS
from estab.kernel.formats.inet_diag.sockets import SOCKET_SIZE, DumpState, control
from estab.kernel.formats.inet_diag.states import ANY_STATE, ESTABLISHED, MASKABLE_STATES, state_name
from estab.records import PeerCount, PortCount

_Key = TypeVar("_Key", int, bytes)

# The header and the fields that counting needs, read at one go: the message's length, kind and flags; the socket's
# family, state, timer and how often it ended, ports (big-endian), addresses, inode.
_COUNTED = Struct("=IHH8xBBBB2s2s16s16s28xI")
_STATES = 256
# The timer of data (`include/uapi/linux/inet_diag.h`); so often in a row it has ended where data is lost, not late.
RETRANSMIT_TIMER, LOST_AFTER = 1, 2
MOST_RESENDING = 1024


class SocketCounts:
    """Counts the sockets of a dump without an object for any of them: for questions with a hundred thousand answers.

    `held` counts the sockets with an inode by state number, `unheld` those without. With `ports`, `ports` counts by
    local port << 8 | state; with `sources` and `peers`, these count by local and by remote address in 16 bytes, IPv4 as
    IPv4-mapped. Sockets in the states of the mask `packed_states` are packed as by `Established`. This is the
    specification of `estab._engine.Census`, which is some fifty times faster.
    """

    def __init__(
        self,
        *,
        ports: bool = False,
        peers: bool = False,
        sources: bool = False,
        packed_states: int = 0,
        at_server: bool = False,
    ) -> None:
        # One by state with an inode, then one by state without.
        self._counts = array("Q", bytes(2 * _STATES * 8))
        self._ports: dict[int, int] | None = {} if ports else None
        self._peers: dict[bytes, int] | None = {} if peers else None
        self._sources: dict[bytes, int] | None = {} if sources else None
        self._packed_states = packed_states
        self._at_server = at_server
        self._packed = bytearray()
        self._resending = bytearray()

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where it is damaged."""
        offset, flags = self._count(data)
        return rest_of_dump(data, offset, flags)

    def _count(self, data: bytes | memoryview) -> tuple[int, int]:
        """Count the whole sockets at the start of a datagram: where that stopped, and all flags that were seen."""
        offset, flags = 0, 0
        for offset, header_flags, fields in _whole_sockets(data):  # noqa: B007
            family, state, timer, retransmits, port, _, source, peer, inode = fields
            flags |= header_flags
            self._counts[state if inode else _STATES + state] += 1
            if self._ports is not None:
                _add(self._ports, int.from_bytes(port, "big") << 8 | state)
            if self._peers is not None:
                _add(self._peers, mapped(family, peer))
            if self._sources is not None:
                _add(self._sources, mapped(family, source))
            if state < MASKABLE_STATES and self._packed_states >> state & 1:
                self._packed += _pack(fields, at_server=self._at_server)
            resends = state == ESTABLISHED and timer == RETRANSMIT_TIMER and retransmits >= LOST_AFTER
            if resends and len(self._resending) < MOST_RESENDING * CONNECTION.size:
                self._resending += _pack(fields, at_server=False)
        return offset, flags

    def merge(self, other: SocketCounts) -> None:
        """Count what `other` counted as well: another part of the sockets, with the same options.

        What it packed is not taken over.
        """
        for index, count in enumerate(other._counts):
            self._counts[index] += count
        if self._ports is not None and other._ports is not None:
            _merge(self._ports, other._ports)
        if self._peers is not None and other._peers is not None:
            _merge(self._peers, other._peers)
        if self._sources is not None and other._sources is not None:
            _merge(self._sources, other._sources)
        self._resending += other.resending
        del self._resending[MOST_RESENDING * CONNECTION.size :]

    @property
    def ports(self) -> dict[int, int] | None:
        """Sockets by local port << 8 | state; None where that was not asked for."""
        return self._ports

    @property
    def peers(self) -> dict[bytes, int] | None:
        """Sockets by remote address in 16 bytes; None where that was not asked for."""
        return self._peers

    @property
    def sources(self) -> dict[bytes, int] | None:
        """Sockets by local address in 16 bytes; None where that was not asked for."""
        return self._sources

    @property
    def packed(self) -> bytes:
        """36 bytes for each socket in a state that is packed."""
        return bytes(self._packed)

    @property
    def resending(self) -> bytes:
        """36 bytes for each ESTABLISHED one that sends its data again and again, this end as client; up to 1,024."""
        return bytes(self._resending)

    def connections(self) -> frozenset[bytes]:
        """What was packed, each as its 36 bytes."""
        return frozenset(packed for (packed,) in CONNECTION.iter_unpack(self.packed))

    def busiest_ports(self, most: int) -> list[PortCount]:
        """The `most` local ports with most sockets, equal ones by number; none without `ports`."""
        sums: dict[int, int] = {}
        for key, count in (self._ports or {}).items():
            sums[key >> 8] = sums.get(key >> 8, 0) + count
        return [self._port_count(port) for port in _busiest(sums, most)]

    def _port_count(self, port: int) -> PortCount:
        counts = ((state, (self._ports or {}).get(port << 8 | state)) for state in range(_STATES))
        return PortCount(port=port, states={state_name(state): count for state, count in counts if count})

    def busiest_peers(self, most: int) -> list[PeerCount]:
        """The `most` peers with most sockets, equal ones by address; none without `peers`.

        A socket without a peer (a listener) is not one of them.
        """
        peers = {peer: count for peer, count in (self._peers or {}).items() if peer not in NOBODY}
        return [PeerCount(address=plain_address(peer), sockets=peers[peer]) for peer in _busiest(peers, most)]

    @property
    def held(self) -> dict[int, int]:
        """Sockets with an inode, by state number; states without any are absent."""
        return {state: count for state, count in enumerate(self._counts[:_STATES]) if count}

    @property
    def unheld(self) -> dict[int, int]:
        """Sockets without an inode, by state number; states without any are absent."""
        return {state: count for state, count in enumerate(self._counts[_STATES:]) if count}

    @property
    def local_ports(self) -> set[int]:
        """The local ports that were seen; none without `ports`."""
        return {key >> 8 for key in self.ports or ()}

    def count(self, state: int) -> int:
        """All sockets in a state."""
        return self._counts[state] + self._counts[_STATES + state]

    @property
    def total(self) -> int:
        """All sockets."""
        return sum(self._counts)

    def by_state(self) -> dict[str, int]:
        """All sockets by the state's name as `ss` prints it; states without any are absent."""
        return {state_name(state): self.count(state) for state in sorted({*self.held, *self.unheld})}


class Established(SocketCounts):
    """Packs the connections of a dump as 36 bytes each: the client's address, the server's, and both ports.

    Addresses have 16 bytes, IPv4 as IPv4-mapped, so that both ends pack one connection alike whatever the family of
    their sockets. `at_server` says which end the dumped sockets are.
    """

    def __init__(self, *, at_server: bool) -> None:
        super().__init__(packed_states=ANY_STATE, at_server=at_server)


_Fields = tuple[int, int, int, int, bytes, bytes, bytes, bytes, int]


def _pack(fields: _Fields, *, at_server: bool) -> bytes:
    family, _, _, _, local_port, remote_port, local, remote, _ = fields
    ends = [(mapped(family, local), local_port), (mapped(family, remote), remote_port)]
    (client, client_port), (server, server_port) = reversed(ends) if at_server else ends
    return client + server + client_port + server_port


def _whole_sockets(data: bytes | memoryview) -> Iterator[tuple[int, int, _Fields]]:
    """Each whole socket at the start of a datagram: where it ends, its header's flags, and the fields of `_COUNTED`."""
    offset, size = 0, len(data)
    smallest = netlink.HEADER.size + SOCKET_SIZE
    while size - offset >= smallest:
        length, kind, flags, *fields = _COUNTED.unpack_from(data, offset)
        if kind not in KINDS or length < smallest or length > size - offset:
            return
        offset += (length + 3) & ~3
        yield offset, flags, tuple(fields)


def rest_of_dump(data: bytes | memoryview, offset: int, flags: int) -> DumpState:
    """What follows the last whole socket at `offset`: the end of the dump, an error, or nothing.

    `flags` are those of the sockets before. Raises ParseError, with the place, for a socket cut short or other damage.
    """
    interrupted = bool(flags & netlink.NLM_F_DUMP_INTR)
    for message in netlink.messages(data, offset):
        interrupted |= message.interrupted
        if message.kind in KINDS:
            # Cut short, or behind another kind of message, where no kernel puts one: counted nowhere, so said.
            raise ParseError(f"inet_diag_msg of {message.end - message.start} bytes", message.start)
        if (end := control(data, message)) is not None:
            return end.replace(interrupted=interrupted)
    return DumpState(done=False, interrupted=interrupted)


def _merge(counts: dict[_Key, int], others: dict[_Key, int]) -> None:
    both = {key: counts[key] + others[key] for key in counts.keys() & others.keys()}
    counts.update(others)
    counts.update(both)


def _add(counts: dict[_Key, int], key: _Key) -> None:
    counts[key] = counts.get(key, 0) + 1


def _busiest(counts: dict[_Key, int], most: int) -> list[_Key]:
    """The `most` keys with the greatest counts, equal ones in order."""
    return heapq.nsmallest(most, counts, key=lambda key: (-counts[key], key))
