"""Flow tables of cloud providers, outside the machine: what EC2's counters say, and the figures that were seen.

Rule 30 of docs/kernel.md. No provider publishes a table by instance type except Azure's one figure: what stands here
was seen, and never proves a limit without the counter beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from estab.kernel.rules.inputs import at_least

Verdict = Literal["exceeded", "not_exceeded", "not_observed"]

AZURE_FLOWS_EACH_WAY = 500_000

EXCEEDED = "conntrack_allowance_exceeded"
AVAILABLE = "conntrack_allowance_available"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFigure:
    """A number of tracked flows that was seen or published. `at_least`: the limit was not met at `flows`."""

    cloud: str
    instance: str
    flows: int
    at_least: bool
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What ENA's statistics say. `exceeded_packets`: lost since `before`. `available`: flows left, None unread."""

    verdict: Verdict
    exceeded_packets: int | None
    available: int | None
    why: str


_REPORT = "field report 001"

KNOWN_FIGURES: tuple[KnownFigure, ...] = (
    KnownFigure(cloud="ec2", instance="t2.micro", flows=51_300, at_least=False, source=_REPORT),
    KnownFigure(cloud="ec2", instance="t2.medium", flows=51_300, at_least=False, source=_REPORT),
    KnownFigure(cloud="ec2", instance="t2.large", flows=82_460, at_least=False, source=_REPORT),
    KnownFigure(cloud="ec2", instance="t2.xlarge", flows=100_000, at_least=True, source=_REPORT),
    KnownFigure(cloud="ec2", instance="m4.large", flows=100_000, at_least=True, source=_REPORT),
    KnownFigure(cloud="ec2", instance="m3.medium", flows=100_000, at_least=True, source=_REPORT),
    KnownFigure(cloud="ec2", instance="c4.large", flows=100_000, at_least=True, source=_REPORT),
    KnownFigure(
        cloud="ec2",
        instance="m7i-flex.large",
        flows=76_957,
        at_least=False,
        source="conntrack_allowance_available, seen",
    ),
    KnownFigure(cloud="azure", instance="A1", flows=60_000, at_least=True, source=_REPORT),
    KnownFigure(
        cloud="azure", instance="any", flows=AZURE_FLOWS_EACH_WAY, at_least=False, source="published, each way per VM"
    ),
)


def known_figure(cloud: str, instance: str) -> KnownFigure | None:
    """The figure seen for an instance type ("ec2", "t2.micro"), for Azure the published one; None: nothing is known.

    Source: docs/kernel.md rule 30.
    """
    named = {(figure.cloud, figure.instance): figure for figure in KNOWN_FIGURES}
    return named.get((cloud, instance)) or named.get((cloud, "any"))


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
