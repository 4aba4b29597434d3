"""Connects whose SYNs are dealt out to members of which the last is dead: in turn, or by chance."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from typing import Any

from tests.diagnose import runs

from estab.records import RunResult

_RESENT_S = 1.03


def dealt(
    members: int, seed: int, *, by_chance: bool = False, per_s: float = 50.0, seconds: float = 4.0,
    timeout_s: float = 2.5, **fields: Any
) -> RunResult:  # fmt: skip
    """churn at `per_s`, begun by chance; what is lost is sent again after a second, and dealt anew."""
    chance = random.Random(seed)
    due: list[tuple[float, float]] = []
    at_s = chance.expovariate(per_s)
    while at_s < seconds:
        due.append((at_s, at_s))
        at_s += chance.expovariate(per_s)
    begun, connected, failed, sent, lost = [first for _, first in due], [], [], 0, 0
    while due:
        now_s, first_s = heapq.heappop(due)
        sent += 1
        if not (chance.random() < 1 / members if by_chance else sent % members == 0):
            connected.append(now_s)
            continue
        lost += 1
        again_s = now_s + _RESENT_S + chance.uniform(0, 0.006)
        if again_s - first_s > timeout_s:
            failed.append(first_s + timeout_s)
        else:
            heapq.heappush(due, (again_s, first_s))
    failed.sort()
    ticks = [0.1 * tick for tick in range(1, round((seconds + timeout_s) * 10) + 3)]
    values: dict[str, Any] = {
        "config": {"timeout_s": timeout_s, "rate_per_s": per_s},
        "funnel": runs.funnel(len(begun), len(connected)),
        "failures": [runs.failure("connect", "own_timeout", len(failed))] if failed else [],
        "syn_retransmits": {"0": len(connected) - 30, "1": 30},
        "client": runs.sent_again(sent - len(begun)),
        "server": runs.untouched(len(connected)),
        "timeline": [
            runs.point(
                tick, attempted=bisect_right(begun, tick), connected=bisect_right(connected, tick),
                failed=bisect_right(failed, tick),
            )
            for tick in ticks
        ],
    }  # fmt: skip
    return runs.run("churn", **{**values, **fields})
