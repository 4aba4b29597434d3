"""The destinations that take most local ports, of all that this namespace connects to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from struct import Struct

from estab.kernel.formats import inet_diag, sysctl
from estab.observe.gaps import Gaps
from estab.observe.sock_diag import SockDiag
from estab.records import Listener, PortUse, Record

MOST = 10  # how many a snapshot of a host keeps
_RANGE = "net.ipv4.ip_local_port_range"
_RESERVED = "net.ipv4.ip_local_reserved_ports"
# One packed connection: our address, the other's, our port, the other's (`inet_diag.Established`).
_PACKED = Struct("!16s16sHH")
_WAITING = inet_diag.states(inet_diag.TIME_WAIT)
_PEERLESS = inet_diag.states(inet_diag.LISTEN, inet_diag.CLOSE, inet_diag.BOUND_INACTIVE)
_OTHERS = inet_diag.ALL_STATES & ~_PEERLESS & ~_WAITING
_Pairs = Counter[tuple[bytes, bytes, int]]


class Targets(Record, frozen=True, kw_only=True):
    """`busiest` has the destinations in question, fullest first; `others` how many more there are.

    `others_used` and `others_time_wait` are the local ports in use towards those.
    """

    busiest: list[PortUse]
    others: int = 0
    others_used: int = 0
    others_time_wait: int = 0


def busiest(
    diag: SockDiag,
    values: Mapping[str, list[int] | str],
    gaps: Gaps,
    *,
    most: int,
    listeners: Sequence[Listener] | None = None,
) -> Targets:
    """The `most` destinations towards which one local address uses most of its ephemeral ports.

    `values` are the sysctls. What has the port of one of the `listeners` is a server's connection. Raises what SockDiag
    raises, and ParseError for a port range that is none.
    """
    served = {listener.port for listener in listeners or ()}
    low, high = sysctl.port_bounds(values.get(_RANGE, ""))
    capacity = gaps.read("targets.capacity", lambda: sysctl.usable_ports([low, high], values.get(_RESERVED, "")))
    waiting = _pairs(diag.outgoing(low, high, _WAITING), served)
    used = waiting + _pairs(diag.outgoing(low, high, _OTHERS), served)
    return rank(used, waiting, most, capacity=capacity, bound=diag.bound_ports(low, high))


def _pairs(packed: bytes | bytearray, served: set[int]) -> _Pairs:
    """Connections by source address and destination, without those at a local port that is `served`."""
    return Counter(
        (source, target, port)
        for source, target, local_port, port in _PACKED.iter_unpack(packed)
        if local_port not in served
    )


def rank(used: _Pairs, waiting: _Pairs, most: int, *, capacity: int | None, bound: int | None) -> Targets:
    """`used` and `waiting` (those of them in TIME_WAIT) by source, destination and its port. Pure."""
    sums: dict[tuple[bytes, int], list[int]] = {}
    for (_, target, port), count in used.items():
        sums.setdefault((target, port), []).append(count)
    times: Counter[tuple[bytes, int]] = Counter()
    for (_, target, port), count in waiting.items():
        times[target, port] += count
    ranked = sorted(sums, key=lambda target: (-max(sums[target]), target))
    busiest = [
        PortUse(
            address=inet_diag.plain_address(target),
            port=port,
            used=sum(sums[target, port]),
            time_wait=times[target, port],
            sources=len(sums[target, port]),
            worst_source_used=max(sums[target, port]),
            capacity=capacity,
            bound=bound,
        )
        for target, port in ranked[:most]
    ]
    rest = ranked[most:]
    return Targets(
        busiest=busiest,
        others=len(rest),
        others_used=sum(sum(sums[target]) for target in rest),
        others_time_wait=sum(times[target] for target in rest),
    )
