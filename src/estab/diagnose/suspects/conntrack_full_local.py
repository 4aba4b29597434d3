"""This host's own connection tracking table is full: new flows are dropped before they leave, or as they come in.

Source: `__nf_conntrack_alloc` (net/netfilter/nf_conntrack_core.c): over nf_conntrack_max, where early_drop() frees
nothing, the packet is dropped, and `drop` of /proc/net/stat/nf_conntrack counts it. The count is the namespace's, the
maximum the initial namespace's. A local connect() ends in ETIMEDOUT (docs/kernel.md rule 26). Flows that are in the
table go on; so does what is not tracked.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NotRebuilt
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import ends, syn_path
from estab.kernel.rules.conntrack import is_full
from estab.records import Conntrack, Evidence, Remedy, RunResult, Side, Snapshot, Verdict
from estab.words import plural


@dataclass(frozen=True)
class TrackingTable:
    """One host's table: packets it dropped in between (None: only one moment is known), and whether it is full."""

    end: str
    count: int | None
    maximum: int | None
    dropped: int | None
    full: bool | None


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the table dropped packets within the run, or stood full, and connects timed out."""
    lost = failures(run)
    tables, worst = _tables(run), _worst(run)
    verdict, summary = _weigh(run, lost, worst)
    evidence = [_lost_evidence(lost), *(fact for each in tables for fact in table_evidence(each))]
    side: Side = "server" if worst is not None and worst.end == "server" and verdict == "confirmed" else "client"
    return Judgement(verdict, summary, evidence, side)


def failures(run: RunResult) -> int:
    """Connects that timed out, or that the host's own firewall refused."""
    return facts.connect_timeouts(run) + facts.failed(run, ("connect",), ("EPERM",))


def _tables(run: RunResult) -> list[TrackingTable]:
    return [read for end, before, after in ends(run) if (read := table(end, before, after)) is not None]


def _worst(run: RunResult) -> TrackingTable | None:
    return max(_tables(run), key=lambda each: (each.dropped or 0, bool(each.full)), default=None)


def table(end: str, before: Snapshot | None, after: Snapshot | None) -> TrackingTable | None:
    """The tracking table of one host between two moments. None: neither was read."""
    then, now = (taken.conntrack if taken else None for taken in (before, after))
    if then is None and now is None:
        return None
    last = now or then
    states = [full for conntrack in (then, now) if conntrack is not None and (full := _full(conntrack)) is not None]
    dropped = _dropped(then, now)
    count, maximum = (last.count, last.maximum) if last else (None, None)
    return TrackingTable(end, count, maximum, dropped, any(states) if states else None)


def _dropped(then: Conntrack | None, now: Conntrack | None) -> int | None:
    """Packets that were dropped because the table was full. None: not known.

    What NAT finds no port for, or loses to another packet of the same flow, counts in `drop` and in `insert_failed`
    (`__nf_conntrack_confirm`): that is no want of room.
    """
    if then is None or now is None or then.drop is None or now.drop is None:
        return None
    failed = 0
    if then.insert_failed is not None and now.insert_failed is not None:
        failed = max(0, now.insert_failed - then.insert_failed)
    return max(0, now.drop - then.drop - failed)


def _full(conntrack: Conntrack) -> bool | None:
    if conntrack.count is None or conntrack.maximum is None:
        return None
    return is_full(max(0, conntrack.count), max(0, conntrack.maximum))


def _weigh(run: RunResult, lost: int, worst: TrackingTable | None) -> tuple[Verdict, str]:
    if not lost:
        return "ruled_out", "No connect timed out."
    if worst is None:
        return "not_observed", "The connection tracking table was not observed."
    arrived = syn_path(run).arrived
    if worst.dropped and not arrived:
        text = f"The {worst.end}'s connection tracking table was full and dropped {plural(worst.dropped, 'packet')}."
        return "confirmed", text
    if worst.full and not arrived:
        room = f"{worst.count:,} of {worst.maximum:,}" if worst.count is not None else "all"
        return "confirmed", f"The {worst.end}'s connection tracking table was full ({room}): new flows are dropped."
    if worst.dropped or worst.full:
        return "possible", "The connection tracking table was full, but what failed had arrived at the listener."
    return _weigh_room(worst)


def _weigh_room(worst: TrackingTable) -> tuple[Verdict, str]:
    if worst.full is None and worst.dropped is None:
        return "not_observed", "How full the connection tracking table is was not observed."
    return "ruled_out", "The connection tracking table had room and dropped nothing."


def _lost_evidence(lost: int) -> Evidence:
    return measured(
        "failures",
        "connect ETIMEDOUT, own_timeout, EPERM",
        lost,
        f"{plural(lost, 'connect was', 'connects were')} lost",
    )


def table_evidence(seen: TrackingTable) -> list[Evidence]:
    """The fill of one table and what it dropped."""
    evidence = []
    if seen.count is not None:
        of = plural(seen.count, "flow") if seen.maximum is None else f"{seen.count:,} of {plural(seen.maximum, 'flow')}"
        text = f"the {seen.end}'s table holds {of} (nf_conntrack_count)"
        evidence.append(measured("/proc/sys/net/netfilter", "conntrack.count", seen.count, text, seen.maximum))
    if seen.dropped is not None:
        text = f"it dropped {plural(seen.dropped, 'packet')} in between (drop of /proc/net/stat/nf_conntrack)"
        evidence.append(measured("/proc/net/stat/nf_conntrack", "drop", seen.dropped, text))
    if evidence:
        return evidence
    text = f"how full the {seen.end}'s table is at the end was not observed"
    return [unknown("/proc/sys/net/netfilter", "conntrack.count", text)]


def remedies(run: RunResult) -> list[Remedy]:
    """A bigger table, or fewer entries in it."""
    worst = _worst(run)
    now = worst.maximum if worst is not None and worst.maximum is not None and worst.maximum > 0 else 65536
    size = min(4 * now, 1 << 31)
    return [
        Remedy(
            command=f"sysctl -w net.netfilter.nf_conntrack_max={size}   # in the initial network namespace",
            works=True,
            changes=[changes.elsewhere("the connection tracking table of the whole machine")],
            why="Counts at once. An entry takes about 320 bytes; raise nf_conntrack_buckets along with it.",
        ),
        Remedy(
            command="nft add rule inet raw prerouting tcp dport PORT notrack   # and for output",
            works=True,
            changes=[changes.elsewhere("the connection tracking table of the whole machine")],
            why="What is not tracked takes no entry: for traffic that no rule needs the state of.",
        ),
        Remedy(
            command="sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30",
            works=True,
            changes=[changes.elsewhere("the connection tracking table of the whole machine")],
            why="A closed connection keeps its entry for 120 s; short connections leave many.",
        ),
        Remedy(
            command="sysctl -w net.netfilter.nf_conntrack_max=... inside a container",
            works=False,
            changes=[changes.elsewhere("a container beside its host")],
            why="The maximum is the initial namespace's; in others it is read-only or not asked.",
        ),
        Remedy(
            command="a bigger backlog, ulimit -n, more SYN retries",
            works=False,
            changes=[changes.queue()],
            why="The packet was dropped before TCP saw it: no limit of a socket was asked.",
        ),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Full now, or dropped packets in between."""
    seen = table("host", snapshots.before, snapshots.after)
    if seen is None or (seen.full is None and seen.dropped is None):
        text = "The connection tracking table was not observed."
        return Judgement("not_observed", text, [unknown("/proc/sys/net/netfilter", "-", "not read")])
    evidence = table_evidence(seen)
    now = table("host", None, snapshots.after)
    if now is not None and now.full:
        text = f"The connection tracking table is full now: {now.count or 0:,} of {now.maximum or 0:,}."
        return Judgement("confirmed", text, evidence)
    if seen.dropped:
        text = f"The connection tracking table dropped {plural(seen.dropped, 'packet')} between the two."
        return Judgement("confirmed", text, evidence)
    return Judgement("ruled_out", "The connection tracking table has room.", evidence)


CAUSE = Cause(
    id="conntrack_full_local",
    side="client",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=3,
    explains={CauseKind.LOST_SYN: "the packets were lost in this host's own connection tracking table"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=NotRebuilt(
        "the connection tracking table is bounded for the whole machine (nf_conntrack_max of the initial namespace)"
    ),
)
