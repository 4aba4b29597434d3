"""What each host gets of a load that was asked for as a whole. Pure.

Counts and rates are those of all hosts together: each gets an equal share. Times, sizes and the like are every host's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from estab.errors import UsageError
from estab.load.plan import shares as whole_shares

COUNTS = ("attempts", "in_flight")
RATES = ("ramp_per_s", "rate_per_s", "trickle_per_s", "churn_per_s")


def split(asked: Mapping[str, Any], hosts: int) -> list[dict[str, Any]]:
    """The arguments of each host, for as many hosts as get a connection at all. Raises UsageError for no connection."""
    connections = asked["connections"]
    if connections < 1:
        raise UsageError(f"connections is {connections:,}; it can be 1 or more")
    parts = whole_shares(connections, hosts)
    found = [{**asked, "connections": part} for part in parts]
    for name in COUNTS:
        if asked.get(name):
            for one, share in zip(found, _at_least_one(asked[name], len(parts)), strict=True):
                one[name] = share
    for name in RATES:
        if asked.get(name) is not None:
            for one, part in zip(found, parts, strict=True):
                one[name] = asked[name] * part / connections
    return found


def _at_least_one(total: int, parts: int) -> list[int]:
    """Shares of a count of which each host needs one: 0 would mean "no bound" there."""
    each, more = divmod(max(total, parts), parts)
    return [each + (i < more) for i in range(parts)]
