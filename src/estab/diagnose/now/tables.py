"""Flow tables as snapshots show them: this host's conntrack, and the allowance that a cloud's interface counts."""

from __future__ import annotations

from estab.diagnose.nics import as_evidence, between
from estab.diagnose.now.seen import Found, Seen, clear, unseen
from estab.diagnose.suspects import conntrack_full_local, path_flow_table_full
from estab.kernel.rules.cloud_flows import AVAILABLE, EXCEEDED
from estab.records import Evidence


def conntrack(seen: Seen) -> Found:
    """Full now, or dropped packets in between."""
    found = conntrack_full_local.table("host", seen.before, seen.after)
    if found is None or (found.full is None and found.dropped is None):
        return unseen("The connection tracking table was not observed.", "/proc/sys/net/netfilter", "not read")
    evidence = conntrack_full_local.table_evidence(found)
    now = conntrack_full_local.table("host", None, seen.after)
    if now is not None and now.full:
        text = f"The connection tracking table is full now: {now.count or 0:,} of {now.maximum or 0:,}."
        return Found("confirmed", text, evidence, lambda: conntrack_full_local.remedies(found))
    if found.dropped:
        text = f"The connection tracking table dropped {found.dropped:,} packets between the two."
        return Found("confirmed", text, evidence, lambda: conntrack_full_local.remedies(found))
    return clear("The connection tracking table has room.", evidence)


def allowance(seen: Seen) -> Found:
    """ENA's counter rose in between; or no more flows are left now."""
    if (left := _left(seen)) is not None and left <= 0:
        evidence = [Evidence(source="ethtool -S", field=AVAILABLE, value=left, threshold=0, text="no flow is left now")]
        text = f"The instance's flow table is full now: {AVAILABLE} is {left:,}."
        return Found("confirmed", text, evidence, lambda: path_flow_table_full.remedies(seen.run(None)))
    found = between("host", seen.before, seen.after)
    if not found:
        text = f"No interface shows {EXCEEDED} at two moments; what a cloud drops only a run from both ends shows."
        return unseen(text, "ethtool -S", text)
    lost = sum(one.lost for one in found)
    if not lost:
        return clear("The instance's flow table dropped nothing.", [as_evidence(one) for one in found])
    text = f"The instance's flow table was full: {lost:,} packets were dropped between the two."
    evidence = [as_evidence(one) for one in found]
    return Found("confirmed", text, evidence, lambda: path_flow_table_full.remedies(seen.run(None)))


def _left(seen: Seen) -> int | None:
    known = [nic.allowances[AVAILABLE] for nic in seen.after.nics or [] if AVAILABLE in nic.allowances]
    return min(known, default=None)
