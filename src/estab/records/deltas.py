"""What counters rose by between two moments. A 0 is kept, and what is not known is absent: it is never 0.

Source: `net/ipv4/proc.c` writes /proc/net/netstat and /proc/net/snmp. Both list every counter, 0 or not; but of IcmpMsg
only the types that were seen (`icmpmsg_put`).
"""

from __future__ import annotations

from collections.abc import Mapping

# Says how many there are now and may fall, among counters that only rise (RFC 4022, tcpCurrEstab).
GAUGES = frozenset({"Tcp.CurrEstab"})
_LISTED_ONCE_SEEN = "IcmpMsg."

Counters = Mapping[str, int]


def between(before: Counters | None, after: Counters | None) -> dict[str, int] | None:
    """By how much each counter rose; None where either moment is. One that fell began anew and is left out."""
    if before is None or after is None:
        return None
    changes = ((name, _change(name, before, after)) for name in after)
    return {name: change for name, change in changes if change is not None}


def rise(name: str, deltas: Counters | None, before: Counters | None, after: Counters | None) -> int | None:
    """By how much one counter rose, None where that is not known.

    `deltas` of old records leave out what did not move: of what is missing there the counters before and after tell.
    """
    if deltas is not None and name in deltas:
        return deltas[name]
    return None if before is None or after is None else _change(name, before, after)


def _change(name: str, before: Counters, after: Counters) -> int | None:
    now, then = after.get(name), before.get(name, 0 if name.startswith(_LISTED_ONCE_SEEN) else None)
    if now is None or then is None or (now < then and name not in GAUGES):
        return None
    return now - then
