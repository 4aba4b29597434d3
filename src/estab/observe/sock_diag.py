"""Asking the kernel for its TCP sockets, and for the UNIX sockets that listen, by netlink's sock_diag.

What lives here: the netlink socket, and the few questions that estab asks. The bytes are `kernel.formats.inet_diag`'s
and `unix_diag`'s.
Every question filters in the kernel, so that its cost is the answer's and not the host's.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple, Protocol, Self, TypeVar

from estab.errors import MachineError, ReadError
from estab.kernel.formats import inet_diag, netlink, unix_diag
from estab.kernel.formats.endpoint import UNIX
from estab.kernel.formats.inet_diag import DumpState, InetSocket, OneConnection, PeerConnections, Sockets
from estab.kernel.formats.tcp_info import TcpInfo
from estab.kernel.formats.unix_diag import UnixSocket, UnixSockets
from estab.kernel.rules import RuleInputError, kernel_version
from estab.observe.both import both
from estab.observe.fast_census import EngineCensus, EngineEstablished, Receiver, truncated
from estab.records import Census, Listener, PortUse, ServerSockets
from estab.records.snapshot import UNIX_FAMILY

_NETLINK_SOCK_DIAG = 4
_BOTH_AT_ONCE = (inet_diag.AF_UNSPEC,)
_ONE_BY_ONE = (inet_diag.AF_INET, inet_diag.AF_INET6)
# netlink_dump() fills at most 32 KiB a datagram (net/netlink/af_netlink.c), more where one message needs more.
_BUFFER_BYTES = 128 * 1024
_ATTEMPTS = 5
_PATIENCE_S = 10
# Filled, not accepted and not closed by its owner: inode 0 there means "waits in the accept queue". A socket that its
# owner closed has inode 0 too, but is then in FIN-WAIT, CLOSING or LAST-ACK; SYN-RECV and TIME-WAIT never have one.
_QUEUED_STATES = (inet_diag.ESTABLISHED, inet_diag.CLOSE_WAIT)
_BOUND_INACTIVE_SINCE = (6, 8)
_ALL_BUT_BOUND = inet_diag.ALL_STATES & ~inet_diag.states(inet_diag.BOUND_INACTIVE)
_NEITHER_LISTENING_NOR_BOUND = _ALL_BUT_BOUND & ~inet_diag.states(inet_diag.LISTEN)
_OF_PROCESSES = _NEITHER_LISTENING_NOR_BOUND & ~inet_diag.states(inet_diag.TIME_WAIT, inet_diag.CLOSE)
_HELD_BY_SERVER = inet_diag.states(
    inet_diag.ESTABLISHED, inet_diag.FIN_WAIT_1, inet_diag.FIN_WAIT_2, inet_diag.CLOSE_WAIT
)
_MIDDLE_PORT = 46_883  # of the ports that connect() takes by default, 32768 to 60999
MOST_IN_CENSUS = 20


class _Collector(Protocol):
    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram and say how far the dump is."""


C = TypeVar("C", bound=_Collector)


class ClientEnd(NamedTuple):
    """This host's end of its connections to a target: ports in use, sockets by state, the ESTABLISHED ones packed.

    `resending`: packed as well, those whose data is sent again and again, whether `held` was asked for or not.
    """

    use: PortUse
    states: dict[str, int]
    held: bytes
    resending: bytes = b""


class ServerEnd(NamedTuple):
    """The server's end of a port's connections, and those that it has, packed."""

    sockets: ServerSockets
    held: bytes


class Counted(NamedTuple):
    """All sockets counted, and the connections whose data is sent again and again, packed (this end as the client)."""

    census: Census
    resending: bytes


@dataclass(frozen=True, slots=True)
class ListeningDump:
    """The datagrams that tell of every listening socket at one moment."""

    datagrams: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """How many bytes they are."""
        return sum(map(len, self.datagrams))

    def listeners(self) -> list[Listener]:
        """As `SockDiag.listeners`. Raises ParseError where they are damaged."""
        sockets = inet_diag.Sockets()
        for data in self.datagrams:
            sockets.add(data)
        return [as_listener(listening) for listening in _by_family(sockets.found)]

    def unix_listeners(self) -> list[Listener]:
        """As `SockDiag.unix_listeners`, of a dump of these. Raises ParseError where they are damaged."""
        sockets = UnixSockets()
        for data in self.datagrams:
            sockets.add(data)
        return [as_unix_listener(seen) for seen in sockets.found]


class _NotKnownError(MachineError):
    """The kernel does not know this question."""


class SockDiag:
    """The kernel's sockets in the network namespace in which this was made. A context manager; not for two threads.

    Every method raises MachineError where the kernel refuses (permission, module), ReadError where its answer is
    truncated or kept changing, ParseError where the answer is damaged.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._sequence = 0
        self._families: Sequence[int] = _BOTH_AT_ONCE
        self._socket = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the netlink socket back. May be called twice."""
        self._socket.close()

    def listening(self, port: int | None = None) -> list[InetSocket]:
        """Every listening socket, or those on `port`, IPv4 and IPv6, with drops; v6only is known of each IPv6 one."""
        mask = inet_diag.states(inet_diag.LISTEN)
        sockets = self._dump(Sockets, mask, extensions=inet_diag.EXT_SKMEMINFO, local_port=port).found
        return _by_family(sockets)

    def listeners(self, port: int | None = None) -> list[Listener]:
        """As `listening`, as records, without owners."""
        return [as_listener(listening) for listening in self.listening(port)]

    def listening_dump(self) -> ListeningDump:
        """Every listening socket as the kernel tells of it, not read yet: where nothing changed two are equal."""
        held = self._listening_at_once()
        if held is None:
            held = self._ask_all(inet_diag.Datagrams, _listening_question).held
        return ListeningDump(tuple(held))

    def _listening_at_once(self) -> list[bytes] | None:
        """The datagrams, in as few steps as there can be: ten times a second these count. None: it takes more.

        Whatever is not as it mostly is has its rest thrown away with the socket, and is asked for again.
        """
        if len(self._families) > 1:
            return None
        held: list[bytes] = []
        with suppress(OSError):
            self._socket.send(_listening_question(self._families[0]))
            while not held or netlink.goes_on(held[-1]):
                size = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
                held.append(bytes(self._view[:size]) if size <= _BUFFER_BYTES else b"")
            if netlink.is_end(held[-1]):
                return held
        self._socket.close()
        self._socket = self._open()
        return None

    def unix_listeners(self, address: str | None = None) -> list[Listener]:
        """Every UNIX socket that listens, or those at `address` (`unix:/path`), without owners.

        A path is as it was given to bind(): relative to whatever directory that was in, or outside of a container.
        """

        collected = self._collect(UnixSockets, self._unix_listening, (unix_diag.AF_UNIX,))
        listeners = [as_unix_listener(seen) for seen in collected.found]
        return listeners if address is None else [each for each in listeners if _is_same(each.address, address)]

    def unix_listening_dump(self) -> ListeningDump:
        """Every UNIX socket that listens, as `listening_dump` gives TCP's."""
        return ListeningDump(tuple(self._collect(inet_diag.Datagrams, self._unix_listening, (unix_diag.AF_UNIX,)).held))

    def _unix_listening(self, _family: int) -> bytes:
        return unix_diag.request(inet_diag.states(inet_diag.LISTEN), sequence=self._next_sequence())

    def unix_server_sockets(self, address: str) -> ServerSockets:
        """The server's ends of connections to the UNIX socket at `address`: those accepted, and how many are queued.

        Each is named as its listener (`unix_stream_connect` in net/unix/af_unix.c). One that nobody accepted yet is not
        listed (`sk_diag_dump` in net/unix/diag.c): the listener's depth counts these. It takes a walk through all UNIX
        sockets that are connected.
        """
        mask = inet_diag.states(inet_diag.LISTEN, inet_diag.ESTABLISHED)

        def question(_family: int) -> bytes:
            return unix_diag.request(mask, sequence=self._next_sequence())

        collected = self._collect(UnixSockets, question, (unix_diag.AF_UNIX,))
        named = [seen for seen in collected.found if seen.name is not None and _is_same(UNIX + seen.name, address)]
        queued = sum(seen.rqueue or 0 for seen in named if seen.state == inet_diag.LISTEN)
        accepted = sum(seen.state == inet_diag.ESTABLISHED for seen in named)
        both = queued + accepted
        states = {inet_diag.state_name(inet_diag.ESTABLISHED): both} if both else {}
        return ServerSockets(port=0, states=states, queued=queued, accepted=accepted)

    def server_sockets(self, port: int) -> ServerSockets:
        """Connections on the server's side of `port` by state; `queued` wait for accept(), `accepted` have an inode."""
        return self.server_end(port, packed=False).sockets

    def server_end(self, port: int, *, packed: bool = True) -> ServerEnd:
        """`server_sockets`, and with `packed` what `established_at` gives, each 36 bytes. One dump for both."""
        states = _HELD_BY_SERVER if packed else 0
        census = self._dump(
            lambda: EngineCensus(packed_states=states, at_server=True), _NEITHER_LISTENING_NOR_BOUND, local_port=port
        )
        held, unheld = census.held, census.unheld
        # A socket of bind() alone, and a connect() from this very port, are not a server's connections.
        for state in (inet_diag.CLOSE, inet_diag.SYN_SENT):
            held.pop(state, None)
        sockets = ServerSockets(
            port=port,
            states=census.by_state(),
            queued=sum(unheld.get(state, 0) for state in _QUEUED_STATES),
            accepted=sum(held.values()),
        )
        return ServerEnd(sockets, census.packed)

    def port_use(self, address: str, port: int, *, capacity: int | None = None, bound: int | None = None) -> PortUse:
        """Local ports in use towards `port` at the literal `address`, TIME-WAIT included.

        `capacity` and `bound` are handed through: they are the namespace's, not this destination's.
        """
        return self.toward(address, port, capacity=capacity, bound=bound).use

    def toward(
        self,
        address: str,
        port: int,
        *,
        capacity: int | None = None,
        bound: int | None = None,
        packed: bool = False,
    ) -> ClientEnd:
        """`port_use`, and the same sockets counted by state as `ss` names it; one dump for all.

        With `packed` also what `established_toward` gives, each 36 bytes.
        """
        states = inet_diag.states(inet_diag.ESTABLISHED) if packed else 0
        census = self._dump(
            lambda: EngineCensus(sources=True, packed_states=states),
            _NEITHER_LISTENING_NOR_BOUND,
            remote_port=port,
            remote_address=_packed(address),
        )
        by_source = (census.sources or {}).values()
        use = PortUse(
            address=address,
            port=port,
            used=census.total,
            time_wait=census.count(inet_diag.TIME_WAIT),
            sources=len(by_source),
            worst_source_used=max(by_source, default=0),
            capacity=capacity,
            bound=bound,
        )
        return ClientEnd(use, census.by_state(), census.packed, census.resending)

    def bound_ports(self, low: int, high: int) -> int | None:
        """Ports from `low` to `high` lost to bind() without a peer: listeners', and sockets' that did bind() alone.

        None where the kernel does not show the latter (before 6.8).
        """
        if not _shows_bound_sockets():
            return None
        mask = inet_diag.states(inet_diag.LISTEN, inet_diag.BOUND_INACTIVE)
        census = self._dump(lambda: EngineCensus(ports=True), mask)
        return sum(low <= port <= high for port in census.local_ports)

    def states(self) -> dict[str, int]:
        """Every TCP socket, counted by state as `ss` names it. Costs about 1 ms for a thousand sockets."""
        return self._dump(EngineCensus, _ALL_BUT_BOUND).by_state()

    def census(self, most: int = MOST_IN_CENSUS) -> Census:
        """Every TCP socket, counted by state, by local port and by peer; the `most` fullest ports and peers.

        A port's sockets are those of both ends: a server's connections stand under its port, a client's each under
        its own. A socket that did bind() alone is not counted, as `ss -a` does not count it.
        """
        return self.count(most).census

    def count(self, most: int = MOST_IN_CENSUS) -> Counted:
        """`census`, and what the same dump says of connections whose data is sent again and again."""
        counted = self._count_all()
        census = Census(
            sockets=counted.total,
            states=counted.by_state(),
            ports=counted.busiest_ports(most),
            peers=counted.busiest_peers(most),
        )
        return Counted(census, counted.resending)

    def connections_to(self, address: str, port: int) -> PeerConnections:
        """How the ESTABLISHED connections to `port` at the literal `address` fare, with TCP_INFO: for few of them."""
        return self._dump(
            PeerConnections,
            inet_diag.states(inet_diag.ESTABLISHED),
            extensions=inet_diag.EXT_INFO,
            remote_port=port,
            remote_address=_packed(address),
        )

    def connection(self, packed: bytes) -> tuple[InetSocket, TcpInfo] | None:
        """How one connection fares, packed with this end as the client. None: it is not there any more."""

        def question(_family: int) -> bytes:
            return inet_diag.request_one(packed, extensions=inet_diag.EXT_INFO, sequence=self._next_sequence())

        return self._collect(OneConnection, question, _ONE_BY_ONE[1:]).seen

    def _count_all(self) -> inet_diag.SocketCounts:
        """All sockets, a half by each of two threads where there are two cores: nearly all of it is the kernel's work.

        Each half walks the whole table, so that more threads would soon gain nothing.
        """
        if len(os.sched_getaffinity(0)) < 2:
            return self._dump(_everything, _ALL_BUT_BOUND)
        half = inet_diag.Half(_MIDDLE_PORT, same=True)
        counted, other = both(lambda: self._dump(_everything, _ALL_BUT_BOUND, half=half), _count_other_half)
        counted.merge(other)
        return counted

    def outgoing(self, low: int, high: int, mask: int) -> bytes:
        """The sockets in the states of `mask` whose local port is `low` to `high`, as `inet_diag.Established` packs it.

        36 bytes each, this end as the client. Where a server listens on such a port, its connections are among them.
        """
        return self._dump(lambda: EngineEstablished(at_server=False), mask, local_port=(low, high)).packed

    def connections(self, *, local_port: int | None = None, remote_port: int | None = None) -> list[InetSocket]:
        """Every ESTABLISHED connection with these ports, one object each: for few. `rqueue` is what nobody has read."""
        mask = inet_diag.states(inet_diag.ESTABLISHED)
        return _by_family(self._dump(Sockets, mask, local_port=local_port, remote_port=remote_port).found)

    def holding(self, port: int) -> list[InetSocket]:
        """Every socket that has `port` as its local one and does not listen, one object each: for few.

        Those that did bind() alone are among them from Linux 6.8 on.
        """
        mask = _NEITHER_LISTENING_NOR_BOUND
        if _shows_bound_sockets():
            mask |= inet_diag.states(inet_diag.BOUND_INACTIVE)
        return _by_family(self._dump(Sockets, mask, local_port=port).found)

    def established_toward(self, address: str, port: int) -> frozenset[bytes]:
        """The connections from here to `port` at the literal `address` that this end has as ESTABLISHED.

        Each is 36 bytes as `inet_diag.Established` packs them: equal at both ends.
        """
        mask = inet_diag.states(inet_diag.ESTABLISHED)
        return self._dump(
            lambda: EngineEstablished(at_server=False), mask, remote_port=port, remote_address=_packed(address)
        ).connections()

    def established_at(self, port: int) -> frozenset[bytes]:
        """The connections that the server's side of `port` has: ESTABLISHED, or since closed by the server.

        One that waits in the accept queue is ESTABLISHED; one in SYN-RECV is not among them. Packed as by
        `established_toward`.
        """
        return self._dump(lambda: EngineEstablished(at_server=True), _HELD_BY_SERVER, local_port=port).connections()

    def feed(self, collector: _Collector) -> None:
        """Every socket that is or was connected, or is about to be, into `collector`; TIME-WAIT belongs to nobody.

        Where the table changed meanwhile it gets all of it again.
        """
        self._dump(lambda: collector, _OF_PROCESSES)

    def _dump(
        self,
        collector: Callable[[], C],
        mask: int,
        *,
        extensions: int = 0,
        local_port: int | tuple[int, int] | None = None,
        remote_port: int | None = None,
        remote_address: bytes | None = None,
        half: inet_diag.Half | None = None,
    ) -> C:
        """Both families' sockets into a new collector; asked again where the table changed meanwhile."""

        def question(family: int) -> bytes:
            return inet_diag.request(
                family,
                mask,
                extensions=extensions,
                sequence=self._next_sequence(),
                local_port=local_port,
                remote_port=remote_port,
                remote_address=remote_address,
                half=half,
            )

        # An IPv4 socket cannot have an IPv6 peer; an IPv6 one can have an IPv4 peer.
        if remote_address is not None and len(remote_address) == 16:
            return self._collect(collector, question, _ONE_BY_ONE[1:])
        return self._ask_all(collector, question)

    def _ask_all(self, collector: Callable[[], C], question: Callable[[int], bytes]) -> C:
        """Both families at once where this kernel knows that question."""
        try:
            return self._collect(collector, question, self._families)
        except _NotKnownError:
            self._families = _ONE_BY_ONE
            return self._collect(collector, question, self._families)

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        return self._sequence

    def _collect(self, collector: Callable[[], C], question: Callable[[int], bytes], families: Sequence[int]) -> C:
        for _ in range(_ATTEMPTS):
            collected = collector()
            interrupted = [self._ask(question(family), collected) for family in families]
            if not any(interrupted):
                return collected
        raise ReadError(f"sock_diag: the socket table changed during each of {_ATTEMPTS} dumps: try again")

    def _ask(self, question: bytes, collected: _Collector) -> bool:
        """One dump into `collected`; whether the kernel says that it was interrupted."""
        try:
            self._socket.send(question)
            interrupted = False
            while True:
                state = self._receive(collected)
                interrupted |= state.interrupted
                if state.done:
                    _check(state.errno, question)
                    return interrupted
        except BaseException as error:
            # The rest of a dump that nobody reads would be taken for the answer to the next question.
            self._socket.close()
            self._socket = self._open()
            if isinstance(error, OSError):
                raise MachineError(_refusal(error.errno or 0)) from error
            raise

    def _receive(self, collected: _Collector) -> DumpState:
        """The next datagram into `collected`, or several."""
        if isinstance(collected, Receiver):
            return collected.receive(self._socket.fileno(), self._buffer)
        size, _, flags, _ = self._socket.recvmsg_into([self._buffer])
        if flags & socket.MSG_TRUNC:
            raise truncated(_BUFFER_BYTES)
        return collected.add(self._view[:size])

    @staticmethod
    def _open() -> socket.socket:
        try:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise MachineError(_refusal(error.errno or 0)) from error
        # A kernel that does not answer must not hang a run.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE_S, 0))
        return opened


@cache
def _listening_question(family: int) -> bytes:
    """For every listening socket, with the number 0, as all answers to it have."""
    return inet_diag.request(family, inet_diag.states(inet_diag.LISTEN), extensions=inet_diag.EXT_SKMEMINFO)


def as_listener(listening: InetSocket) -> Listener:
    """A listening socket as its record, without owners: on a listener rqueue is the queue and wqueue the limit."""
    return Listener(
        family=listening.family,
        address=listening.local_address,
        port=listening.local_port,
        depth=listening.rqueue,
        limit=listening.wqueue,
        drops=listening.drops,
        inode=listening.inode,
        uid=listening.uid,
        v6only=listening.v6only,
    )


def as_unix_listener(listening: UnixSocket) -> Listener:
    """A listening UNIX socket as its record, without owners; the kernel counts no drops of it."""
    return Listener(
        family=UNIX_FAMILY,
        address=UNIX + (listening.name or ""),
        port=0,
        depth=listening.rqueue or 0,
        limit=listening.wqueue or 0,
        inode=listening.inode,
        uid=listening.uid,
    )


def _is_same(listening: str, address: str) -> bool:
    """Whether what was bound as `listening` is at `address`: /var/run may be /run, and a path a relative one."""
    return listening == address or _real(listening) == _real(address)


@lru_cache(maxsize=4096)
def _real(address: str) -> str:
    name = address.removeprefix(UNIX)
    return address if name.startswith("@") else UNIX + os.path.realpath(name)


def _by_family(sockets: list[InetSocket]) -> list[InetSocket]:
    """IPv4 first; those of one family in the kernel's order."""
    return sorted(sockets, key=lambda seen: seen.family)


def _everything() -> inet_diag.SocketCounts:
    return EngineCensus(ports=True, peers=True)


def _count_other_half() -> inet_diag.SocketCounts:
    with SockDiag() as diag:
        return diag._dump(_everything, _ALL_BUT_BOUND, half=inet_diag.Half(_MIDDLE_PORT, same=False))


def _packed(address: str) -> bytes:
    """A literal address as 4 or 16 bytes, an IPv4-mapped one as 4. Raises ParseError where it is none."""
    text = inet_diag.canonical(address)
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _shows_bound_sockets() -> bool:
    """Whether the running kernel lists sockets that did bind() alone; False where its release says no version."""
    try:
        return kernel_version.parse(os.uname().release).at_least(*_BOUND_INACTIVE_SINCE)
    except RuleInputError:
        return False


def _check(number: int, question: bytes) -> None:
    """Raise MachineError for the errno that ended a dump."""
    family = inet_diag.family_of(question)
    without_ipv6 = number == errno.ENOENT and family == inet_diag.AF_INET6
    if family == inet_diag.AF_UNSPEC and number in (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP):
        raise _NotKnownError(_refusal(number))
    if number and not without_ipv6:
        raise MachineError(_refusal(number, family))


def _refusal(number: int, family: int = inet_diag.AF_INET) -> str:
    """What a refusal by the kernel means and what to do next."""
    name = errno.errorcode.get(number, str(number))
    if number in (errno.EPERM, errno.EACCES):
        return f"sock_diag is not permitted here ({name}): a sandbox forbids netlink; run outside it"
    if number in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
        of_unix = family == unix_diag.AF_UNIX
        kind, modules = ("UNIX sockets", "unix_diag") if of_unix else ("TCP", "-a tcp_diag inet_diag")
        return f"this kernel has no sock_diag for {kind} ({name}): load it with `modprobe {modules}`"
    if number in (errno.EAGAIN, errno.ETIMEDOUT):
        return f"sock_diag did not answer within {_PATIENCE_S} s: try again"
    return f"sock_diag refused the question: {name} ({os.strerror(number)})"
