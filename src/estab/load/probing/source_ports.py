"""The target asked from many local ports, some of them twice: is it the flow that decides which are lost?

A balancer, a router with several ways or a NAT chooses by a hash of addresses and ports, so a local port fails always
or never; what is lost by chance, or for there is no room, does not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from estab.load.conductor import Stop
from estab.load.plan import Address
from estab.load.probing.connects import Attempt, attempts
from estab.records import ConnectTry, PortTries, SourcePorts

MOST = 60  # these share out evenly among 2 to 6 members, and so do pairs of ports, but for 4, where it is one of 30
AGAIN = 12  # of each kind that are tried again
WITHIN_S = 2.5  # a SYN is sent again after a second
_BLOCK = 12
_APART_S = 0.01
_MOST_PORT = 65535
_FIRST_PORT = 1024


def choose(used: tuple[int, int] | None, wanted: int, turn: int) -> list[int]:
    """So many local ports, in runs of 12 that lie far apart: a hash may look at the last bits or at the first.

    `used` is the range that connect() takes from: they lie above it or, where that leaves no room, below. `turn` moves
    them, so that two probes do not meet.
    """
    roomy = [(low, high) for low, high in _outside(used) if high - low >= 4 * wanted]
    low, high = roomy[0] if roomy else (_FIRST_PORT, _MOST_PORT)
    blocks = -(-wanted // _BLOCK)
    stride = (high - low - _BLOCK) // blocks
    stride -= (stride - _BLOCK) % MOST  # each run goes on where the one before ended, in every number that divides 60
    start = low + low % 2 + turn % (high - low - (blocks - 1) * stride - _BLOCK) // 2 * 2
    return [start + block * stride + offset for block in range(blocks) for offset in range(_BLOCK)][:wanted]


def _outside(used: tuple[int, int] | None) -> list[tuple[int, int]]:
    if used is None:
        return [(_FIRST_PORT, _MOST_PORT)]
    return [(max(used[1] + 1, _FIRST_PORT), _MOST_PORT), (_FIRST_PORT, used[0] - 1)]


def again(first: Sequence[PortTries], most: int) -> list[int]:
    """Which to try again, last ones first: failed ones, and as many that got through. None where all fared alike."""
    failed = [tried.port for tried in first if tried.tries[0].silent]
    through = [tried.port for tried in first if tried.tries[0].errno is None]
    each = min(AGAIN, len(failed), len(through), most // 2)
    chosen = {*failed[:each], *through[-each:]} if each else set()
    return [tried.port for tried in reversed(first) if tried.port in chosen]


def probe(
    target: Address, source: str | None, ports: Sequence[int], most: int, stop: Stop | None = None
) -> SourcePorts:
    """A connect from each of `ports`, and further ones from some: `most` connects in all."""
    outcomes = _tried(target, source, ports, stop)
    first = [PortTries(port=port, tries=[outcome]) for port, outcome in zip(ports, outcomes, strict=True) if outcome]
    chosen = again(first, most - len(ports))
    later = dict(zip(chosen, _tried(target, source, chosen, stop), strict=True))
    both = [
        tried.replace(tries=[*tried.tries, outcome]) if (outcome := later.get(tried.port)) else tried for tried in first
    ]
    return SourcePorts(within_s=WITHIN_S, ports=both)


def _tried(target: Address, source: str | None, ports: Sequence[int], stop: Stop | None) -> list[ConnectTry | None]:
    asked = [Attempt(target, source, port, number * _APART_S) for number, port in enumerate(ports)]
    return attempts(asked, WITHIN_S, stop)
