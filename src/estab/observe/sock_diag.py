"""Asking the kernel for its TCP sockets, by netlink's sock_diag.

What lives here: the netlink socket, and the few questions that estab asks. The bytes are `kernel.formats.inet_diag`'s.
Every question filters in the kernel, so that its cost is the answer's and not the host's.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Protocol, Self, TypeVar

from estab.errors import MachineError, ReadError
from estab.kernel.formats import inet_diag
from estab.kernel.formats.inet_diag import Census, DumpState, InetSocket, Sockets
from estab.records import Listener, PortUse, ServerSockets

_NETLINK_SOCK_DIAG = 4
_FAMILIES = (inet_diag.AF_INET, inet_diag.AF_INET6)  # in this order: _dump leaves out the first
# netlink_dump() fills at most 32 KiB a datagram (net/netlink/af_netlink.c), more where one message needs more.
_BUFFER_BYTES = 128 * 1024
_ATTEMPTS = 5
_PATIENCE_S = 10
# Filled, not accepted and not closed by its owner: inode 0 there means "waits in the accept queue". A socket that its
# owner closed has inode 0 too, but is then in FIN-WAIT, CLOSING or LAST-ACK; SYN-RECV and TIME-WAIT never have one.
_QUEUED_STATES = (inet_diag.ESTABLISHED, inet_diag.CLOSE_WAIT)
_BOUND_INACTIVE_SINCE = (6, 8)


class _Collector(Protocol):
    def add(self, data: bytes | memoryview) -> DumpState:
        """Take one datagram and say how far the dump is."""


C = TypeVar("C", bound=_Collector)


class SockDiag:
    """The kernel's TCP sockets in the network namespace in which this was made. A context manager; not for two threads.

    Every method raises MachineError where the kernel refuses (permission, module), ReadError where its answer is
    truncated or kept changing, ParseError where the answer is damaged.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._sequence = 0
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
        return self._dump(Sockets, mask, extensions=inet_diag.EXT_SKMEMINFO, local_port=port).found

    def listeners(self, port: int | None = None) -> list[Listener]:
        """As `listening`, as records, without owners."""
        return [as_listener(found) for found in self.listening(port)]

    def server_sockets(self, port: int) -> ServerSockets:
        """Connections on the server's side of `port` by state; `queued` wait for accept(), `accepted` have an inode."""
        not_listening = inet_diag.ALL_STATES & ~inet_diag.states(inet_diag.LISTEN, inet_diag.BOUND_INACTIVE)
        census = self._dump(Census, not_listening, local_port=port)
        held, unheld = census.held, census.unheld
        # A socket of bind() alone, and a connect() from this very port, are not a server's connections.
        for state in (inet_diag.CLOSE, inet_diag.SYN_SENT):
            held.pop(state, None)
        return ServerSockets(
            port=port,
            states=census.by_state(),
            queued=sum(unheld.get(state, 0) for state in _QUEUED_STATES),
            accepted=sum(held.values()),
        )

    def port_use(self, address: str, port: int, *, capacity: int | None = None, bound: int | None = None) -> PortUse:
        """Local ports in use towards `port` at the literal `address`, TIME-WAIT included.

        `capacity` and `bound` are handed through: they are the namespace's, not this destination's.
        """
        mask = inet_diag.ALL_STATES & ~inet_diag.states(inet_diag.LISTEN, inet_diag.BOUND_INACTIVE)
        census = self._dump(lambda: Census(addresses=True), mask, remote_port=port, remote_address=_packed(address))
        by_source = census.by_source.values()
        return PortUse(
            address=address,
            port=port,
            used=census.total,
            time_wait=census.count(inet_diag.TIME_WAIT),
            sources=len(by_source),
            worst_source_used=max(by_source, default=0),
            capacity=capacity,
            bound=bound,
        )

    def bound_ports(self, low: int, high: int) -> int | None:
        """Ports from `low` to `high` lost to bind() without a peer: listeners', and sockets' that did bind() alone.

        None where the kernel does not show the latter (before 6.8).
        """
        if _kernel_version() < _BOUND_INACTIVE_SINCE:
            return None
        mask = inet_diag.states(inet_diag.LISTEN, inet_diag.BOUND_INACTIVE)
        census = self._dump(lambda: Census(ports=True), mask)
        return sum(low <= port <= high for port in census.local_ports)

    def states(self) -> dict[str, int]:
        """Every TCP socket, counted by state as `ss` names it. Costs about 2 ms and 1 µs a socket."""
        mask = inet_diag.ALL_STATES & ~inet_diag.states(inet_diag.BOUND_INACTIVE)
        return self._dump(Census, mask).by_state()

    def _dump(
        self,
        collector: Callable[[], C],
        mask: int,
        *,
        extensions: int = 0,
        local_port: int | None = None,
        remote_port: int | None = None,
        remote_address: bytes | None = None,
    ) -> C:
        """Both families' sockets into a new collector; asked again where the table changed meanwhile."""
        # An IPv4 socket cannot have an IPv6 peer; an IPv6 one can have an IPv4 peer.
        only_v6 = remote_address is not None and len(remote_address) == 16
        for _ in range(_ATTEMPTS):
            collected = collector()
            interrupted = False
            for family in _FAMILIES[only_v6:]:
                self._sequence = (self._sequence + 1) & 0xFFFFFFFF
                question = inet_diag.request(
                    family,
                    mask,
                    extensions=extensions,
                    sequence=self._sequence,
                    local_port=local_port,
                    remote_port=remote_port,
                    remote_address=remote_address,
                )
                interrupted |= self._ask(question, collected)
            if not interrupted:
                return collected
        raise ReadError(f"sock_diag: the socket table changed during each of {_ATTEMPTS} dumps: try again")

    def _ask(self, question: bytes, collected: _Collector) -> bool:
        """One dump into `collected`; whether the kernel says that it was interrupted."""
        try:
            self._socket.send(question)
            interrupted = False
            while True:
                state = collected.add(self._receive())
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

    def _receive(self) -> memoryview:
        size, _, flags, _ = self._socket.recvmsg_into([self._buffer])
        if flags & socket.MSG_TRUNC:
            raise ReadError(f"sock_diag: an answer longer than {_BUFFER_BYTES} bytes was truncated")
        return self._view[:size]

    @staticmethod
    def _open() -> socket.socket:
        try:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise MachineError(_refusal(error.errno or 0)) from error
        # A kernel that does not answer must not hang a run.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE_S, 0))
        return opened


def as_listener(found: InetSocket) -> Listener:
    """A listening socket as its record, without owners: on a listener rqueue is the queue and wqueue the limit."""
    return Listener(
        family=found.family,
        address=found.local_address,
        port=found.local_port,
        depth=found.rqueue,
        limit=found.wqueue,
        drops=found.drops,
        inode=found.inode,
        uid=found.uid,
    )


def _packed(address: str) -> bytes:
    """A literal address as 4 or 16 bytes, an IPv4-mapped one as 4. Raises ParseError where it is none."""
    text = inet_diag.canonical(address)
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _kernel_version() -> tuple[int, int]:
    """The running kernel's version, (0, 0) where its release does not begin with one."""
    words = os.uname().release.split(".")
    if len(words) < 2 or not words[0].isdigit() or not words[1].isdigit():
        return 0, 0
    return int(words[0]), int(words[1])


def _check(number: int, question: bytes) -> None:
    """Raise MachineError for the errno that ended a dump."""
    without_ipv6 = number == errno.ENOENT and inet_diag.family_of(question) == inet_diag.AF_INET6
    if number and not without_ipv6:
        raise MachineError(_refusal(number))


def _refusal(number: int) -> str:
    """What a refusal by the kernel means and what to do next."""
    name = errno.errorcode.get(number, str(number))
    if number in (errno.EPERM, errno.EACCES):
        return f"sock_diag is not permitted here ({name}): a sandbox forbids netlink; run outside it"
    if number in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
        return f"this kernel has no sock_diag for TCP ({name}): load it with `modprobe -a tcp_diag inet_diag`"
    if number in (errno.EAGAIN, errno.ETIMEDOUT):
        return f"sock_diag did not answer within {_PATIENCE_S} s: try again"
    return f"sock_diag refused the question: {name} ({os.strerror(number)})"
