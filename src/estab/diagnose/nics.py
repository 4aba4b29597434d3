"""What the network interfaces say of a cloud's flow table: ENA's allowance counters, as deltas. No verdict.

Source: `drivers/net/ethernet/amazon/ena/ena_ethtool.c` by way of `kernel/rules/cloud_flows` (docs/kernel.md rule 30).
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose.evidence import during, measured, unknown
from estab.diagnose.syn_path import ends
from estab.kernel.rules.cloud_flows import AVAILABLE, EXCEEDED
from estab.records import Evidence, Nic, RunResult, Snapshot
from estab.words import plural


@dataclass(frozen=True)
class FlowAllowance:
    """One interface of one end: packets lost to a full flow table within the run, and how many flows were left."""

    end: str
    nic: str
    lost: int
    available: int | None


def allowances(run: RunResult) -> list[FlowAllowance]:
    """Every interface that counts it at both moments. Empty: none does, or it was not read."""
    return [allowance for end, before, after in ends(run) for allowance in between(end, before, after)]


def between(end: str, before: Snapshot | None, after: Snapshot | None) -> list[FlowAllowance]:
    """The same for one host between two snapshots of it."""
    then = {nic.name: nic for nic in _nics(before)}
    return [
        FlowAllowance(
            end,
            nic.name,
            max(0, nic.allowances[EXCEEDED] - then[nic.name].allowances[EXCEEDED]),
            nic.allowances.get(AVAILABLE),
        )
        for nic in _nics(after)
        if EXCEEDED in nic.allowances and nic.name in then and EXCEEDED in then[nic.name].allowances
    ]


def _nics(snapshot: Snapshot | None) -> list[Nic]:
    return (snapshot.nics if snapshot else None) or []


def allowance_lost(run: RunResult) -> int | None:
    """Packets that the cloud dropped within the run for a full flow table. None: no interface tells."""
    counted = allowances(run)
    return sum(allowance.lost for allowance in counted) if counted else None


def allowance_evidence(run: RunResult) -> list[Evidence]:
    """A line an interface; one line where none tells."""
    counted = allowances(run)
    if not counted:
        text = f"no interface counts {EXCEEDED} (ENA does): a cloud's own flow table was not observed"
        return [unknown("ethtool -S", EXCEEDED, text)]
    return [as_evidence(allowance, during(run)) for allowance in counted]


def as_evidence(allowance: FlowAllowance, when: str) -> Evidence:
    """What one interface says, as evidence; it rose `when`."""
    left = (
        ""
        if allowance.available is None
        else f"; room for {plural(allowance.available, 'more flow')} was left at the end"
    )
    text = f"{EXCEEDED} of {allowance.nic} at the {allowance.end} rose by {allowance.lost:,} {when}{left}"
    return measured("ethtool -S", EXCEEDED, allowance.lost, text)
