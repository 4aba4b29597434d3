"""sock_diag for TCP: the question (which sockets) and the answer (one `inet_diag_msg` a socket).

What lives here: `include/uapi/linux/inet_diag.h` and `sock_diag.h`, as `net/ipv4/inet_diag.c` fills them.
What never may: the netlink socket, and what the figures mean for a verdict.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import TypeVar

from estab.errors import ParseError
from estab.kernel.formats import netlink
from estab.records import PeerCount, PortCount, Record, Tuple4

_Key = TypeVar("_Key", int, bytes)

SOCK_DIAG_BY_FAMILY = 20
TCPDIAG_GETSOCK = 18  # the question from before there was one by family; its answer's messages have this type too
KINDS = (SOCK_DIAG_BY_FAMILY, TCPDIAG_GETSOCK)
AF_UNSPEC = 0
AF_INET = 2
AF_INET6 = 10
IPPROTO_TCP = 6

# Names as `ss` prints them; numbers from include/net/tcp_states.h. The kernel shows a half-open connection
# (TCP_NEW_SYN_RECV, 12) as TCP_SYN_RECV. 13 is a socket with bind() and neither listen() nor connect() (since 6.8).
STATE_NAMES = {
    1: "ESTAB",
    2: "SYN-SENT",
    3: "SYN-RECV",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    7: "UNCONN",
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "NEW-SYN-RECV",
    13: "BOUND-INACTIVE",
}
ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = (
    range(1, 12)
)
BOUND_INACTIVE = 13

# Extensions that may be asked for, each the bit (number - 1) of `idiag_ext`.
EXT_MEMINFO = 1 << 0
EXT_INFO = 1 << 1
EXT_SKMEMINFO = 1 << 6

_ATTR_BYTECODE = 1
_ATTR_INFO = 2
_ATTR_SKMEMINFO = 7
_ATTR_SKV6ONLY = 11

_NO_COOKIE = b"\xff" * 8
_V4_MAPPED = bytes(10) + b"\xff\xff"
NOBODY = (bytes(16), _V4_MAPPED + bytes(4))  # the peer of a socket that has none, in 16 bytes

_REQUEST = Struct("=BBBxI")
_REQUEST_OF_OLD = Struct("=BBBB")
_ID = Struct("!HH16s16s")
_OPERATION = Struct("=BBH")
_HOST_CONDITION = Struct("=BBxxi")
_OP_JUMP, _OP_SOURCE_GE, _OP_SOURCE_LE, _OP_DEST_GE, _OP_DEST_LE, _OP_DEST_CONDITION = 1, 2, 3, 4, 5, 8

# struct inet_diag_msg. The ports alone are big-endian, so they are read as bytes and turned.
_SOCKET = Struct("=BBBB2s2s16s16sIQIIIII")
SOCKET_SIZE = _SOCKET.size  # 72

# The header and the fields that counting needs, read at one go: the message's length, kind and flags; the socket's
# family, state, ports (big-endian), addresses, inode.
_COUNTED = Struct("=IHH8xBBxx2s2s16s16s28xI")
_TUPLE = Struct("36s")
CONNECTION_SIZE = _TUPLE.size
_STATES = 256
_DROPS = Struct("=I")
_DROPS_OFFSET = 32  # SK_MEMINFO_DROPS, the ninth word; before 4.6 it is absent


class InetSocket(Record, frozen=True, kw_only=True):
    """One TCP socket. `family` is 4 or 6; addresses are text. On a listener `rqueue` is the queue, `wqueue` its limit.

    `inode` is 0 where no process holds it: half-open, queued, orphaned, TIME-WAIT. `tcp_info` is what `tcp_info.parse`
    reads. `timer_ms` is until the running timer fires. `v6only` is None except on IPv6 sockets that listen.
    """

    family: int
    state: int
    timer: int
    retransmits: int
    local_address: str
    local_port: int
    remote_address: str
    remote_port: int
    interface: int
    cookie: int
    timer_ms: int
    rqueue: int
    wqueue: int
    uid: int
    inode: int
    drops: int | None = None
    v6only: bool | None = None
    tcp_info: bytes | None = None

    @property
    def state_name(self) -> str:
        """The state as `ss` prints it."""
        return state_name(self.state)


def state_name(state: int) -> str:
    """The name of a state number as `ss` prints it; a number that this estab does not know is `STATE-n`."""
    return STATE_NAMES.get(state, f"STATE-{state}")


def states(*wanted: int) -> int:
    """The mask `idiag_states` that asks for these states."""
    return sum(1 << state for state in set(wanted))


ALL_STATES = states(*STATE_NAMES)
_MASKABLE_STATES = 32  # bits in a mask of states
ANY_STATE = (1 << _MASKABLE_STATES) - 1


def request(
    family: int,
    mask: int,
    *,
    extensions: int = 0,
    sequence: int = 1,
    local_port: int | tuple[int, int] | None = None,
    remote_port: int | None = None,
    remote_address: bytes | None = None,
    half: Half | None = None,
) -> bytes:
    """The dump request for TCP sockets of `family` (AF_INET, AF_INET6, AF_UNSPEC: both) in the states of `mask`.

    Both at once take one walk through the kernel's table in place of two. Only the question from before 3.3 asks so
    (`inet_diag_dump_compat` in `net/ipv4/inet_diag.c`). The kernel itself leaves out what the filter excludes
    (`inet_diag_bc_run`): a narrow question is answered cheaply. `remote_address` is 4 or 16 bytes; 4 bytes also match
    the IPv4-mapped peers of IPv6 sockets. `half` goes alone.
    """
    sockets = _ID.pack(0, 0, bytes(16), bytes(16)) + bytes(4) + _NO_COOKIE
    if family == AF_UNSPEC:
        kind, body = TCPDIAG_GETSOCK, _REQUEST_OF_OLD.pack(0, 0, 0, extensions) + sockets + Struct("=II").pack(mask, 0)
    else:
        kind, body = SOCK_DIAG_BY_FAMILY, _REQUEST.pack(family, IPPROTO_TCP, extensions, mask) + sockets
    if half is not None:
        code = half.bytecode()
    else:
        code = bytecode(local_port=local_port, remote_port=remote_port, remote_address=remote_address)
    if code:
        body += Struct("=HH").pack(4 + len(code), _ATTR_BYTECODE) + code
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), kind, flags, sequence, 0) + body


def family_of(question: bytes) -> int:
    """The family that a `request` asks for."""
    return question[netlink.HEADER.size]


def bytecode(
    *,
    local_port: int | tuple[int, int] | None = None,
    remote_port: int | None = None,
    remote_address: bytes | None = None,
) -> bytes:
    """The filter program: every condition given must hold. Empty where none is given. Two local ports are a range.

    A port is tested by >= and <=, which every kernel knows; the operator for equality came with 4.16.
    """
    conditions: list[tuple[int, bytes]] = []
    if local_port is not None:
        low, high = local_port if isinstance(local_port, tuple) else (local_port, local_port)
        conditions += [(_OP_SOURCE_GE, _OPERATION.pack(0, 0, low)), (_OP_SOURCE_LE, _OPERATION.pack(0, 0, high))]
    if remote_port is not None:
        conditions += [(code, _OPERATION.pack(0, 0, remote_port)) for code in (_OP_DEST_GE, _OP_DEST_LE)]
    if remote_address is not None:
        family = AF_INET if len(remote_address) == 4 else AF_INET6
        any_port = -1
        operand = _HOST_CONDITION.pack(family, len(remote_address) * 8, any_port) + remote_address
        conditions.append((_OP_DEST_CONDITION, operand))
    code = b""
    # Built from the end: where a condition fails it jumps 4 bytes past the end, which rejects (`inet_diag_bc_audit`).
    for operation, operand in reversed(conditions):
        size = _OPERATION.size + len(operand)
        code = _OPERATION.pack(operation, size, size + len(code) + 4) + operand + code
    return code


@dataclass(frozen=True)
class Half:
    """Half of all sockets: those whose two ports lie on the `same` side of `middle` (up to it, above it), or the rest.

    With `middle` in the middle of the ports that connect() takes, each half has half of the clients' sockets and half
    of a server's, whatever its port.
    """

    middle: int
    same: bool

    def bytecode(self) -> bytes:
        """The filter program (`inet_diag_bc_run`): local <= middle ? test one : test the other."""
        below = (_OP_DEST_LE, _OPERATION.pack(0, 0, self.middle))
        above = (_OP_DEST_GE, _OPERATION.pack(0, 0, self.middle + 1))
        first, second = (below, above) if self.same else (above, below)
        test, jump = 2 * _OPERATION.size, _OPERATION.size
        whole = 3 * test + jump
        # A jump 4 bytes past the end rejects, one to the end accepts; the path of `yes` has to pass every operation.
        return b"".join(
            (
                _OPERATION.pack(_OP_SOURCE_LE, test, 2 * test + jump) + _OPERATION.pack(0, 0, self.middle),
                _OPERATION.pack(first[0], test, whole - test + 4) + first[1],
                _OPERATION.pack(_OP_JUMP, jump, jump + test),
                _OPERATION.pack(second[0], test, test + 4) + second[1],
            )
        )


@lru_cache(maxsize=4096)
def format_address(raw: bytes) -> str:
    """4 or 16 bytes as text; an IPv4-mapped address as `::ffff:192.0.2.1`, as `inet_ntop` writes it."""
    if len(raw) == 4:
        return str(IPv4Address(raw))
    if raw.startswith(_V4_MAPPED):
        return f"::ffff:{IPv4Address(raw[12:])}"
    return str(IPv6Address(raw))


def parse_socket(data: bytes | memoryview, start: int, end: int) -> InetSocket:
    """The socket whose `inet_diag_msg` with attributes stands between `start` and `end`.

    Raises ParseError where it is too short, of a family that is neither IPv4 nor IPv6, or an attribute does not fit.
    """
    if end - start < SOCKET_SIZE:
        raise ParseError(f"inet_diag_msg needs {SOCKET_SIZE} bytes, {end - start} are left", start)
    (family, state, timer, retransmits, local_port, remote_port, local, remote, interface, cookie, *numbers) = (
        _SOCKET.unpack_from(data, start)
    )
    if family not in (AF_INET, AF_INET6):
        raise ParseError(f"inet_diag_msg of family {family}, expected {AF_INET} or {AF_INET6}", start)
    width = 4 if family == AF_INET else 16
    expires, rqueue, wqueue, uid, inode = numbers
    drops, v6only, tcp_info = _attributes(data, start + SOCKET_SIZE, end)
    return InetSocket(
        family=4 if family == AF_INET else 6,
        state=state,
        timer=timer,
        retransmits=retransmits,
        local_address=format_address(local[:width]),
        local_port=int.from_bytes(local_port, "big"),
        remote_address=format_address(remote[:width]),
        remote_port=int.from_bytes(remote_port, "big"),
        interface=interface,
        cookie=cookie,
        timer_ms=expires,
        rqueue=rqueue,
        wqueue=wqueue,
        uid=uid,
        inode=inode,
        drops=drops,
        v6only=v6only,
        tcp_info=tcp_info,
    )


def _attributes(data: bytes | memoryview, start: int, end: int) -> tuple[int | None, bool | None, bytes | None]:
    drops: int | None = None
    v6only: bool | None = None
    tcp_info: bytes | None = None
    for kind, first, last in netlink.attributes(data, start, end):
        if kind == _ATTR_SKMEMINFO and last - first >= _DROPS_OFFSET + _DROPS.size:
            drops = _DROPS.unpack_from(data, first + _DROPS_OFFSET)[0]
        elif kind == _ATTR_SKV6ONLY and last > first:
            v6only = bool(data[first])
        elif kind == _ATTR_INFO:
            tcp_info = bytes(data[first:last])
    return drops, v6only, tcp_info


class DumpState(Record, frozen=True, kw_only=True):
    """How far a dump is after one datagram. `errno` is positive where the kernel ended it with an error."""

    done: bool
    interrupted: bool
    errno: int = 0


class Sockets:
    """Collects the sockets of a dump, one object each: for questions with few answers."""

    def __init__(self) -> None:
        self.found: list[InetSocket] = []

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where it is damaged."""
        interrupted = False
        for message in netlink.messages(data):
            interrupted |= message.interrupted
            if message.kind in KINDS:
                self.found.append(parse_socket(data, message.start, message.end))
            elif (end := _control(data, message)) is not None:
                return end.replace(interrupted=interrupted)
        return DumpState(done=False, interrupted=interrupted)


class Census:
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

    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram. Raises ParseError where it is damaged."""
        offset, flags = self._count(data)
        return rest_of_dump(data, offset, flags)

    def _count(self, data: bytes | memoryview) -> tuple[int, int]:
        """Count the whole sockets at the start of a datagram: where that stopped, and all flags that were seen."""
        offset, flags = 0, 0
        for offset, header_flags, fields in _whole_sockets(data):  # noqa: B007
            family, state, port, _, source, peer, inode = fields
            flags |= header_flags
            self._counts[state if inode else _STATES + state] += 1
            if self._ports is not None:
                _add(self._ports, int.from_bytes(port, "big") << 8 | state)
            if self._peers is not None:
                _add(self._peers, mapped(family, peer))
            if self._sources is not None:
                _add(self._sources, mapped(family, source))
            if state < _MASKABLE_STATES and self._packed_states >> state & 1:
                self._packed += _pack(fields, at_server=self._at_server)
        return offset, flags

    def merge(self, other: Census) -> None:
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

    def connections(self) -> frozenset[bytes]:
        """What was packed, each as its 36 bytes."""
        return frozenset(one for (one,) in _TUPLE.iter_unpack(self.packed))

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
        counts = ((state, self.count(state)) for state in range(_STATES))
        return {state_name(state): count for state, count in counts if count}


class Established(Census):
    """Packs the connections of a dump as 36 bytes each: the client's address, the server's, and both ports.

    Addresses have 16 bytes, IPv4 as IPv4-mapped, so that both ends pack one connection alike whatever the family of
    their sockets. `at_server` says which end the dumped sockets are.
    """

    def __init__(self, *, at_server: bool) -> None:
        super().__init__(packed_states=ANY_STATE, at_server=at_server)


_Fields = tuple[int, int, bytes, bytes, bytes, bytes, int]


def _pack(fields: _Fields, *, at_server: bool) -> bytes:
    family, _, local_port, remote_port, local, remote, _ = fields
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
        if (end := _control(data, message)) is not None:
            return end.replace(interrupted=interrupted)
    return DumpState(done=False, interrupted=interrupted)


def missing(these: bytes, those: bytes) -> bytes:
    """The connections among `these` (packed, 36 bytes each) that are not among `those`, each once, in their order.

    This is the specification of `estab._engine.set_difference`. Raises ValueError where either is not whole.
    """
    known = {one for (one,) in _whole(those)}
    return b"".join(dict.fromkeys(one for (one,) in _whole(these) if one not in known))


def _whole(packed: bytes) -> Iterator[tuple[bytes]]:
    if len(packed) % _TUPLE.size:
        raise ValueError(f"packed connections have {_TUPLE.size} bytes each")
    return _TUPLE.iter_unpack(packed)


def mapped(family: int, address: bytes) -> bytes:
    """The address field of a socket as 16 bytes, that of an IPv4 socket as IPv4-mapped."""
    return _V4_MAPPED + address[:4] if family == AF_INET else address


def plain_address(packed: bytes) -> str:
    """16 bytes as text, an IPv4-mapped address as IPv4."""
    return _unmapped(format_address(packed))


def pack_connection(one: Tuple4) -> bytes:
    """A connection that the server lists, as `Established` packs it. Raises ParseError for what is no address."""
    ends = [(one.remote_address, one.remote_port), (one.local_address, one.local_port)]
    addresses, ports = [], []
    for address, port in ends:
        raw = ip_address(canonical(address)).packed
        addresses.append(_V4_MAPPED + raw if len(raw) == 4 else raw)
        if not 0 <= port <= 65535:
            raise ParseError(f"{port} is no port")
        ports.append(port.to_bytes(2, "big"))
    return b"".join(addresses + ports)


def swapped(one: Tuple4) -> Tuple4:
    """The same connection as its other end sees it."""
    return Tuple4(
        local_address=one.remote_address,
        local_port=one.remote_port,
        remote_address=one.local_address,
        remote_port=one.local_port,
    )


def unpack_connection(packed: bytes) -> Tuple4:
    """36 bytes of `Established` as the client sees the connection. Raises ParseError for another length."""
    if len(packed) != _TUPLE.size:
        raise ParseError(f"a packed connection has {_TUPLE.size} bytes, not {len(packed)}")
    return Tuple4(
        local_address=plain_address(packed[:16]),
        local_port=int.from_bytes(packed[32:34], "big"),
        remote_address=plain_address(packed[16:32]),
        remote_port=int.from_bytes(packed[34:], "big"),
    )


def _merge(counts: dict[_Key, int], others: dict[_Key, int]) -> None:
    both = {key: counts[key] + others[key] for key in counts.keys() & others.keys()}
    counts.update(others)
    counts.update(both)


def _add(counts: dict[_Key, int], key: _Key) -> None:
    counts[key] = counts.get(key, 0) + 1


def _busiest(counts: dict[_Key, int], most: int) -> list[_Key]:
    """The `most` keys with the greatest counts, equal ones in order."""
    return heapq.nsmallest(most, counts, key=lambda key: (-counts[key], key))


def _control(data: bytes | memoryview, message: netlink.Message) -> DumpState | None:
    """What a message that is not a socket does to the dump; None where it goes on."""
    if message.kind in (netlink.NLMSG_DONE, netlink.NLMSG_ERROR):
        errno = netlink.error_number(data, message)
        return DumpState(done=True, interrupted=False, errno=errno)
    if message.kind == netlink.NLMSG_OVERRUN:
        raise ParseError("netlink says that messages were lost (NLMSG_OVERRUN)", message.start)
    return None


def canonical(address: str) -> str:
    """A literal address as `format_address` writes it, an IPv4-mapped one as IPv4, without its scope (`%eth0`).

    Raises ParseError where it is no literal address.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError as error:
        raise ParseError(f"not a literal IP address: {address!r}") from error
    return _unmapped(format_address(parsed.packed))


def serving(listeners: Iterable[InetSocket], address: str) -> list[InetSocket]:
    """Those of `listeners` (one port's) that a connect() to `address`, as `canonical` gives it, reaches.

    As `compute_score` in `net/ipv4/inet_hashtables.c` prefers: bound to the address itself, else to the wildcard of
    its own family; an IPv6 wildcard serves IPv4 too unless it is v6only. SO_BINDTODEVICE is not looked at.
    """
    found = list(listeners)
    exact = [listener for listener in found if _unmapped(listener.local_address) == address]
    if exact:
        return exact
    is_v4 = ":" not in address
    v6 = [one for one in found if one.local_address == "::" and not (is_v4 and one.v6only)]
    v4 = [one for one in found if one.local_address == "0.0.0.0"]
    return (v4 or v6) if is_v4 else v6


def _unmapped(address: str) -> str:
    return address.removeprefix("::ffff:") if "." in address else address
