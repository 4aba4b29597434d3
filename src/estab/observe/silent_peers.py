"""Peers that do not acknowledge what is sent from here: found by a count of sockets, then looked at closely.

Where no connection sends again and again, which is nearly always, nothing more is asked.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from struct import Struct

from estab.kernel.formats import inet_diag
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.formats.inet_diag import InetSocket
from estab.kernel.formats.tcp_info import TcpInfo
from estab.observe.sock_diag import SockDiag
from estab.records import PeerLook, Stall

MOST = 4  # peers that are looked at closely
MOST_FOLLOWED, MOST_LOOKS = 4, 8  # connections that are looked at over time, and the looks at each that are kept
_EVERY_S = 0.5
# One packed connection: our address, the other's, our port, the other's (`inet_diag.Established`).
_PACKED = Struct("!16s16sHH")
_CONNECTION = Struct(f"{inet_diag.CONNECTION_SIZE}s")


def looks(diag: SockDiag, resending: bytes, served: Collection[int] = ()) -> list[PeerLook]:
    """The peers of the packed connections, those with most first. Local ports that are `served` are a server's end.

    Raises what SockDiag raises.
    """
    counted = Counter(
        (target, port) for _source, target, local, port in _PACKED.iter_unpack(resending) if local not in served
    )
    peers = [(inet_diag.plain_address(target), port) for (target, port), _count in counted.most_common(MOST)]
    return [look(diag, address, port) for address, port in peers]


def look(diag: SockDiag, address: str, port: int, at_s: float = 0.0) -> PeerLook:
    """How the connections to one peer fare now, which is `at_s` in the times that are told. Raises as SockDiag does."""
    seen = diag.connections_to(address, port)
    return PeerLook(
        address=address,
        port=port,
        at_s=at_s,
        connections=seen.count,
        resending=seen.lost,
        heard_s=None if seen.heard_ms is None else round(at_s - seen.heard_ms / 1000, 3),
        sample=[_stall(connection, info, at_s) for connection, info in seen.kept],
    )


class PeerWatch:
    """The peers of a program to which data is sent again, twice a second at the most; of each the look that told most.

    `clock` in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = self._next_s = clock()
        self._seen: dict[tuple[str, int], PeerLook] = {}

    def look(self, diag: SockDiag, peers: Iterable[tuple[str, int]]) -> None:
        """Look at these now, where it is time. Raises as SockDiag does."""
        now = self._clock()
        if now < self._next_s:
            return
        self._next_s = now + _EVERY_S
        for peer in [*dict.fromkeys(peers)][:MOST]:
            seen, known = look(diag, *peer, at_s=round(now - self._began_s, 3)), self._seen.get(peer)
            if seen.resending and (known is None or seen.resending >= known.resending):
                self._seen[peer] = seen

    def seen(self) -> list[PeerLook]:
        """One look of each, those with most connections that resend first."""
        return sorted(self._seen.values(), key=lambda look: -look.resending)


class ResendWatch:
    """Four connections whose data is sent again and again, from when that was seen on: how each fared over time.

    Only these are asked for, however many there are. `notice` what a dump tells, and `look` at each tick.
    """

    def __init__(self) -> None:
        self._looks: dict[bytes, list[Stall]] = {}
        self._open: set[bytes] = set()

    def notice(self, resending: bytes) -> None:
        """Follow these packed connections too, as long as there are fewer than four."""
        for (packed,) in _CONNECTION.iter_unpack(resending):
            if len(self._looks) >= MOST_FOLLOWED:
                break
            if packed not in self._looks:
                self._looks[packed] = []
                self._open.add(packed)

    def look(self, diag: SockDiag, at_s: float) -> None:
        """See how they fare now, `at_s` seconds after the run's start. Raises as SockDiag does."""
        for packed in sorted(self._open):
            seen = diag.connection(packed)
            if seen is None or seen[0].state != inet_diag.ESTABLISHED:
                self._open.discard(packed)
            else:
                _keep(self._looks[packed], _stall(*seen, round(at_s, 3)))

    def seen(self) -> list[Stall]:
        """The looks, one connection after the other. Of those that showed the same, two are kept: the first, the last.

        Of more than eight, the first four and the last.
        """
        return [look for looks in self._looks.values() for look in looks]


def _keep(looks: list[Stall], look: Stall) -> None:
    if len(looks) > 1 and _progress(looks[-2]) == _progress(looks[-1]) == _progress(look):
        looks[-1] = look
        return
    looks.append(look)
    if len(looks) > MOST_LOOKS:
        del looks[MOST_LOOKS // 2]


def _progress(look: Stall) -> tuple[int, ...]:
    return look.unacked, look.retransmits, look.total_retrans, look.bytes_acked, look.bytes_received


def _stall(connection: InetSocket, info: TcpInfo, at_s: float) -> Stall:
    ends = [
        endpoint(connection.local_address, connection.local_port),
        endpoint(connection.remote_address, connection.remote_port),
    ]
    return Stall(
        connection=" -> ".join(ends),
        at_s=at_s,
        asked_s=round(at_s - info.outstanding_ms / 1000, 3),
        heard_s=round(at_s - info.last_ack_recv_ms / 1000, 3),
        received_s=round(at_s - info.last_data_recv_ms / 1000, 3),
        unacked=info.unacked,
        retransmits=info.retransmits,
        backoff=info.backoff,
        total_retrans=info.total_retrans,
        rto_us=info.rto_us,
        bytes_acked=info.bytes_acked or 0,
        bytes_received=info.bytes_received or 0,
        snd_mss=info.snd_mss,
        pmtu=info.pmtu,
    )
