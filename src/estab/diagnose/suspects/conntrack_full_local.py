"""This host's own connection tracking table is full: new flows are dropped before they leave, or as they come in.

Source: `__nf_conntrack_alloc` (net/netfilter/nf_conntrack_core.c): over nf_conntrack_max, where early_drop() frees
nothing, the packet is dropped, and `drop` of /proc/net/stat/nf_conntrack counts it. The count is the namespace's, the
maximum the initial namespace's. A local connect() ends in ETIMEDOUT (docs/kernel.md rule 26). Flows that are in the
table go on; so does what is not tracked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from estab.diagnose import evidence as shape
from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.journey import ends, journey
from estab.kernel.rules.conntrack import is_full
from estab.records import Conntrack, Evidence, Remedy, RunResult, Side, Snapshot, Suspect, Verdict

CAUSE: Final = "conntrack_full_local"
SIDE: Final[Side] = "client"

SIDES: dict[str, Side] = {"client": "client", "server": "server"}


@dataclass(frozen=True)
class Table:
    """One host's table: packets it dropped in between (None: only one moment is known), and whether it is full."""

    end: str
    count: int | None
    maximum: int | None
    dropped: int | None
    full: bool | None


def judge(run: RunResult) -> Suspect:
    """Confirmed where the table dropped packets within the run, or stood full, and connects timed out."""
    lost = failures(run)
    found = [t for end, before, after in ends(run) if (t := table(end, before, after)) is not None]
    evidence = [_lost_evidence(lost), *(one for t in found for one in table_evidence(t))]
    worst = max(found, key=lambda t: (t.dropped or 0, bool(t.full)), default=None)
    verdict, summary = _weigh(run, lost, worst)
    side = SIDES[worst.end] if worst is not None and verdict == "confirmed" else SIDE
    return shape.suspect(CAUSE, side, (verdict, summary), evidence, lambda: remedies(worst))


def failures(run: RunResult) -> int:
    """Connects that timed out, or that the host's own firewall refused."""
    return facts.connect_timeouts(run) + facts.failed(run, ("connect",), ("EPERM",))


def table(end: str, before: Snapshot | None, after: Snapshot | None) -> Table | None:
    """The tracking table of one host between two moments. None: neither was read."""
    then, now = (taken.conntrack if taken else None for taken in (before, after))
    if then is None and now is None:
        return None
    last = now or then
    states = [full for one in (then, now) if one is not None and (full := _full(one)) is not None]
    dropped = None
    if then is not None and now is not None and then.drop is not None and now.drop is not None:
        dropped = max(0, now.drop - then.drop)
    count, maximum = (last.count, last.maximum) if last else (None, None)
    return Table(end, count, maximum, dropped, any(states) if states else None)


def _full(one: Conntrack) -> bool | None:
    if one.count is None or one.maximum is None:
        return None
    return is_full(max(0, one.count), max(0, one.maximum))


def _weigh(run: RunResult, lost: int, worst: Table | None) -> tuple[Verdict, str]:
    if not lost:
        return "ruled_out", "No connect timed out."
    if worst is None:
        return "not_observed", "The connection tracking table was not observed."
    arrived = journey(run).arrived
    if worst.dropped and not arrived:
        text = f"The {worst.end}'s connection tracking table was full and dropped {worst.dropped:,} packets."
        return "confirmed", text
    if worst.full and not arrived:
        room = f"{worst.count:,} of {worst.maximum:,}" if worst.count is not None else "all"
        return "confirmed", f"The {worst.end}'s connection tracking table was full ({room}): new flows are dropped."
    if worst.dropped or worst.full:
        return "possible", "The connection tracking table was full, but what failed had arrived at the listener."
    return _weigh_room(worst)


def _weigh_room(worst: Table) -> tuple[Verdict, str]:
    if worst.full is None and worst.dropped is None:
        return "not_observed", "How full the connection tracking table is was not observed."
    return "ruled_out", "The connection tracking table had room and dropped nothing."


def _lost_evidence(lost: int) -> Evidence:
    return shape.count("failures", "connect ETIMEDOUT, own_timeout, EPERM", lost, f"{lost:,} connects were lost")


def table_evidence(found: Table) -> list[Evidence]:
    """The fill of one table and what it dropped."""
    evidence = []
    if found.count is not None:
        of = "" if found.maximum is None else f" of {found.maximum:,}"
        text = f"the {found.end}'s table holds {found.count:,}{of} flows (nf_conntrack_count)"
        evidence.append(shape.count("/proc/sys/net/netfilter", "conntrack.count", found.count, text, found.maximum))
    if found.dropped is not None:
        text = f"it dropped {found.dropped:,} packets in between (drop of /proc/net/stat/nf_conntrack)"
        evidence.append(shape.count("/proc/net/stat/nf_conntrack", "drop", found.dropped, text))
    if evidence:
        return evidence
    text = f"how full the {found.end}'s table is at the end was not observed"
    return [Evidence(source="/proc/sys/net/netfilter", field="conntrack.count", text=text)]


def remedies(found: Table | None) -> list[Remedy]:
    """A bigger table, or fewer entries in it."""
    now = found.maximum if found is not None and found.maximum is not None and found.maximum > 0 else 65536
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
