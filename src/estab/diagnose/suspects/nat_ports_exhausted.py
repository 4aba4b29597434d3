"""A NAT has no port left towards the destination: the first packet of a new flow is dropped, here or on the way.

Source: `nf_nat_l4proto_unique_tuple` (net/netfilter/nf_nat_core.c) searches a free source port for the destination;
where none is left the tuple stays one that is taken, and `__nf_conntrack_confirm` (net/netfilter/nf_conntrack_core.c)
drops the packet: `insert_failed` and `drop` of /proc/net/stat/nf_conntrack rise together, far below nf_conntrack_max.
Another port or address of the destination has its own ports: that tells a NAT on the way, of which this host has no
counter, from a full flow table and from a host that is gone.
"""

from __future__ import annotations

from estab.diagnose import facts, probed
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import connect_timeouts, measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import syn_path
from estab.records import Evidence, Remedy, RunResult, Snapshot, Verdict
from estab.words import plural

FIELD = "insert_failed"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where this host failed to enter the flows of what timed out, with room in its table; of a NAT on the
    way where this port alone is lost to new flows, and there is one for sure.
    """
    clashes = clashes_between(run.client.before, run.client.after)
    evidence = [connect_timeouts(run), *_evidence(clashes)]
    verdict, summary = _weigh(run, clashes)
    if verdict != "confirmed" and (on_the_way := _weigh_the_way(run)) is not None:
        return Judgement(*on_the_way, [*evidence, *probed.host_evidence(run)], side="path")
    return Judgement(verdict, summary, evidence)


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def clashes_between(before: Snapshot | None, after: Snapshot | None) -> int | None:
    """Packets that were dropped because their flow could not be entered. None: not observed.

    An overflow of the table counts in `drop` alone.
    """
    then, now = (taken.conntrack if taken is not None else None for taken in (before, after))
    if then is None or now is None or then.insert_failed is None or now.insert_failed is None:
        return None
    dropped = None if then.drop is None or now.drop is None else now.drop - then.drop
    failed = now.insert_failed - then.insert_failed
    return max(0, failed if dropped is None else min(failed, dropped))


def _weigh(run: RunResult, clashes: int | None) -> tuple[Verdict, str]:
    lost = failures(run)
    if not lost:
        return "ruled_out", "No connect timed out."
    if clashes is None:
        return "not_observed", "This host's connection tracking was not observed."
    if clashes * 2 <= lost:
        return "ruled_out", "This host entered the flows of what timed out." if not clashes else (
            f"Only {plural(clashes, 'packet was', 'packets were')} dropped "
            f"for lack of a free tuple, {plural(lost, 'connect')} timed out."
        )
    got = f"{run.funnel.connected:,} connected, then" if run.funnel.connected else ""
    text = (
        f"{got} {plural(clashes, 'packet')} found no free port in this host's NAT: {plural(lost, 'connect')} timed out."
    ).strip()
    return "confirmed", text


def _weigh_the_way(run: RunResult) -> tuple[Verdict, str] | None:
    """Of a NAT between. None: nothing speaks for one."""
    met = syn_path(run)
    is_ceiling = run.funnel.connected > 0 and met.timeouts > 0 and met.reached is None
    if not is_ceiling or not probed.port_alone(run) or met.went_on or met.for_good is False:
        return None
    told = (
        f"{plural(run.funnel.connected, 'connection')} got through, then every SYN to this port was lost, while "
        "another port of the host answered"
    )
    if probed.behind_nat(run) and (met.arrived is not None or facts.each_was_answered(run)):
        return "confirmed", f"The NAT on the way has no port left for this destination: {told}."
    return "possible", f"{told}: {probed.at_this_port(run)}."


def _evidence(clashes: int | None) -> list[Evidence]:
    source = "/proc/net/stat/nf_conntrack"
    if clashes is None:
        return [unknown(source, FIELD, "insert_failed was not observed")]
    return [
        measured(source, FIELD, clashes, f"insert_failed and drop rose by {clashes:,}: flows that found no free tuple")
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Flows that could not be entered in between. Never more than possible: two packets of one flow clash as well."""
    clashes = clashes_between(snapshots.before, snapshots.after)
    if clashes is None:
        return Judgement("not_observed", "Connection tracking was not observed at two moments.", _evidence(None))
    if clashes:
        text = (
            f"{plural(clashes, 'packet was', 'packets were')} dropped "
            "because NAT found no free port for them, or another was faster."
        )
        return Judgement("possible", text, _evidence(clashes))
    return Judgement("ruled_out", "Every new flow was entered.", _evidence(clashes))


def remedies(run: RunResult) -> list[Remedy]:
    """More ports, and what gives none."""
    is_here = clashes_between(run.client.before, run.client.after)
    return [
        Remedy(
            command="nft list ruleset | grep -nE 'masquerade|snat'; conntrack -S"
            + ("" if is_here else "   # on the router or gateway that translates"),
            works=True,
            changes=[changes.LOOK],
            why="The rule that rewrites these flows, and the range of ports that it may take.",
        ),
        Remedy(
            command="a wider range in that rule (masquerade to :1024-65535), or more addresses (snat to A-B)",
            works=True,
            changes=[changes.NAT_PORTS],
            why="Each address has its ports once for each destination address and port.",
        ),
        Remedy(
            command="keep connections open and reuse them: a connection pool",
            works=True,
            changes=[changes.POOL],
            why="A port is taken as long as the flow is tracked: 120 s beyond its close.",
        ),
        Remedy(
            command="sysctl -w net.netfilter.nf_conntrack_max=1048576",
            works=False,
            changes=[changes.elsewhere("the connection tracking table of the whole machine")],
            why="The table has room; what is missing is a free port.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
            works=False,
            changes=[changes.sysctl("net.ipv4.ip_local_port_range", "1024 65535", "client")],
            why="NAT takes its ports from the rule, not from this range.",
        ),
    ]


CAUSE = Cause(
    id="nat_ports_exhausted",
    side="client",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=5,
    explains={CauseKind.LOST_SYN: "the packets found no free port in this host's NAT"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a client that masquerades to so few ports"),
)
