"""What each host gets of a load that was asked for as a whole. Pure.

Counts and rates are those of all hosts together: each gets an equal share. Times, sizes and the like are every host's.
"""

from __future__ import annotations

from typing import Any, TypeVar

from estab.api.request import LoadRequest
from estab.load.plan import shares as whole_shares

COUNTS = ("attempts", "in_flight")
RATES = ("ramp_per_s", "rate_per_s", "trickle_per_s", "churn_rate_per_s")
R = TypeVar("R", bound=LoadRequest)


def split(request: R, hosts: int) -> list[R]:
    """The request to each host, for as many hosts as get a connection at all."""
    parts = whole_shares(request.connections, hosts)
    counts = {name: _at_least_one(total, len(parts)) for name in COUNTS if (total := getattr(request, name, 0))}
    rates = {name: rate for name in RATES if (rate := getattr(request, name, None)) is not None}
    requests = []
    for at, part in enumerate(parts):
        shared: dict[str, Any] = {name: every[at] for name, every in counts.items()}
        shared |= {name: rate * part / request.connections for name, rate in rates.items()}
        requests.append(request.replace(connections=part, **shared))
    return requests


def _at_least_one(total: int, parts: int) -> list[int]:
    """Shares of a count of which each host needs one: 0 would mean "no bound" there."""
    each, more = divmod(max(total, parts), parts)
    return [each + (i < more) for i in range(parts)]
