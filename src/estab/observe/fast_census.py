"""The collectors of `kernel.formats.inet_diag`, carried out in C where the engine is built.

There a whole dump is received and counted without the GIL, so that two threads count side by side. The specification in
Python takes some fifty times as long and stands in where the extension is missing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from estab.errors import ReadError
from estab.kernel.formats import inet_diag
from estab.kernel.formats.inet_diag import DumpState, Established, SocketCounts
from estab.records import PeerCount, PortCount


class Receiver:
    """A collector that takes datagrams from a netlink socket by itself."""

    def receive(self, fd: int, buffer: bytearray) -> DumpState:
        """Take datagrams until one holds more than sockets, and say how far the dump is.

        Raises OSError where none can be received, ReadError for one that is longer than `buffer`, ParseError for a
        damaged one.
        """
        raise NotImplementedError


def truncated(size: int) -> ReadError:
    """A datagram was longer than the `size` bytes of its buffer."""
    return ReadError(f"sock_diag: an answer longer than {size} bytes was truncated")


try:
    from estab import _engine
except ImportError:  # running from a source tree without a compiler
    EngineCensus: type[SocketCounts] = SocketCounts
    EngineEstablished: type[Established] = Established
    missing: Callable[[bytes, bytes], bytes] = inet_diag.missing
else:

    class _EngineCensus(SocketCounts, Receiver):
        def __init__(self, **asked: Any) -> None:
            super().__init__(**asked)
            ports, peers, sources = (wanted is not None for wanted in (self._ports, self._peers, self._sources))
            self._in_c = _engine.census(ports, peers, sources, self._packed_states, self._at_server)

        def _count(self, data: bytes | memoryview) -> tuple[int, int]:
            counted = self._in_c.add(data)
            self._counts = array("Q", self._in_c.counts())
            return counted

        def receive(self, fd: int, buffer: bytearray) -> DumpState:
            length, offset, flags = self._in_c.receive(fd, buffer)
            self._counts = array("Q", self._in_c.counts())
            if length > len(buffer):
                raise truncated(len(buffer))
            return inet_diag.rest_of_dump(memoryview(buffer)[:length], offset, flags)

        def merge(self, other: SocketCounts) -> None:
            if not isinstance(other, _EngineCensus):
                raise TypeError("a census in C takes over only what another one in C counted")
            self._in_c.merge(other._in_c)
            self._counts = array("Q", self._in_c.counts())

        @property
        def ports(self) -> dict[int, int] | None:
            return self._in_c.ports() if self._ports is not None else None

        @property
        def peers(self) -> dict[bytes, int] | None:
            return self._in_c.peers() if self._peers is not None else None

        @property
        def sources(self) -> dict[bytes, int] | None:
            return self._in_c.sources() if self._sources is not None else None

        @property
        def packed(self) -> bytes:
            return self._in_c.packed()

        @property
        def resending(self) -> bytes:
            return self._in_c.resending()

        def busiest_ports(self, most: int) -> list[PortCount]:
            return [self._port_count(port) for port, _ in self._in_c.busiest_ports(most)]

        def _port_count(self, port: int) -> PortCount:
            states = self._in_c.port_states(port)
            return PortCount(port=port, states={inet_diag.state_name(state): n for state, n in states.items()})

        def busiest_peers(self, most: int) -> list[PeerCount]:
            return [
                PeerCount(address=inet_diag.plain_address(peer), sockets=sockets)
                for peer, sockets in self._in_c.busiest_peers(most)
            ]

    class _EngineEstablished(Established, _EngineCensus):
        pass

    EngineCensus, EngineEstablished, missing = _EngineCensus, _EngineEstablished, _engine.set_difference

__all__ = ["EngineCensus", "EngineEstablished", "Receiver", "missing", "truncated"]
