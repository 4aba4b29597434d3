"""Flow tables of cloud providers, outside the machine: what EC2's counters say, and the figures that were seen.

Rule 30 of docs/kernel.md. No provider publishes a table by instance type except Azure's one figure: what stands here
was seen, and never proves a limit without the counter beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import at_least

Verdict = Literal["exceeded", "not_exceeded", "not_observed"]


EXCEEDED = "conntrack_allowance_exceeded"
AVAILABLE = "conntrack_allowance_available"


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What ENA's statistics say. `exceeded_packets`: lost since `before`. `available`: flows left, None unread."""

    verdict: Verdict
    exceeded_packets: int | None
    available: int | None
    why: str


def allowance(after: dict[str, int] | None, before: dict[str, int] | None = None) -> Allowance:
    """What `ethtool -S` of an ena interface says of the instance's flow table.

    `after`, `before`: NIC statistics by name, None where they could not be read; without `before` the counter since
    boot is judged, which may be old. Packets lost because the table was full: "exceeded". No such statistic (another
    driver, an old ena): "not_observed", which rules nothing out. `available` needs the driver of 6.12 or later.
    Source: `drivers/net/ethernet/amazon/ena/ena_ethtool.c` (docs/kernel.md rule 30).
    """
    if after is None or EXCEEDED not in after:
        return Allowance(
            verdict="not_observed",
            exceeded_packets=None,
            available=None,
            why=f"the interface has no statistic {EXCEEDED}: not an ena interface, or its driver is too old",
        )
    lost = after[EXCEEDED] - (before or {}).get(EXCEEDED, 0)
    at_least(f"the delta of {EXCEEDED}", lost, 0)
    since = "since boot" if before is None else "meanwhile"
    return Allowance(
        verdict="exceeded" if lost else "not_exceeded",
        exceeded_packets=lost,
        available=after.get(AVAILABLE),
        why=f"{lost} packets were lost {since} because the instance's flow table was full",
    )
