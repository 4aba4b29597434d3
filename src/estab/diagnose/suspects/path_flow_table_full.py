"""A stateful firewall between client and server has no room for another flow: each new SYN is lost without a word.

Source: a flow table keeps one entry a connection and drops what finds no room: EC2's per instance (ENA's
`conntrack_allowance_exceeded`, drivers/net/ethernet/amazon/ena/ena_ethtool.c), a router's conntrack or `ct count`
(net/netfilter/nft_connlimit.c). The first N connections succeed and live on; then every new one is lost, ping included,
both ways, until flows end (docs/kernel.md rules 26 and 30). Neither end's kernel has a counter for what never arrives:
the evidence is that the SYN left the client, again and again, while nothing moved at the listener.
"""

from __future__ import annotations

from estab.diagnose import facts, probed, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Probe, Rebuilt
from estab.diagnose.evidence import BETWEEN_LOOKS, connect_timeouts, measured, unknown
from estab.diagnose.nics import allowance_evidence, allowance_lost, as_evidence, between
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import FEW, SynPath, arrival_evidence, syn_path, way_ended_s
from estab.kernel.rules.cloud_flows import AVAILABLE, EXCEEDED
from estab.records import Evidence, Remedy, RunResult, Snapshot, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the first connects succeed, then all are lost before the server; or by the NIC's own counter."""
    met, exceeded = syn_path(run), allowance_lost(run)
    verdict, summary = _weigh(run, met, exceeded)
    evidence = [connect_timeouts(run), *_plateau(run, met), *allowance_evidence(run)]
    evidence += [*arrival_evidence(run), *probed.host_evidence(run)] if met.timeouts else []
    return Judgement(verdict, summary, evidence)


def failures(run: RunResult) -> int:
    """Connects that timed out."""
    return facts.connect_timeouts(run)


def _weigh(run: RunResult, met: SynPath, exceeded: int | None) -> tuple[Verdict, str]:
    if not met.timeouts:
        return "ruled_out", "No connect timed out."
    if (innocent := met.reached) is not None:
        return "ruled_out", innocent
    if exceeded:
        return (
            "confirmed",
            f"The instance's flow table was full: the network dropped {plural(exceeded, 'packet')} for it.",
        )
    if not run.funnel.connected:
        text = "No connect got through from the first on: a table that was full before looks like a filter from here."
        return "not_observed", text
    if (other := _why_no_table(run, met)) is not None:
        return "ruled_out", other
    return _weigh_silence(run, met)


def _why_no_table(run: RunResult, met: SynPath) -> str | None:
    if met.for_good is False or met.went_on:
        return "Connects came through at a second SYN, or after others were lost: a full table lets none."
    if probed.port_alone(run):
        return "Another port of the target's host took a connect meanwhile: a full table takes none, whatever its port."
    if sent.unreachable_by_icmp(run):
        return "Somebody on the way said that the target can't be reached: a full table says nothing."
    return None


def _weigh_silence(run: RunResult, met: SynPath) -> tuple[Verdict, str]:
    """SYNs were lost, and no connect that lost one came through."""
    told = f"{run.funnel.connected:,} connected, then every new SYN was lost"
    if met.arrived is None and met.timeouts >= FEW and probed.all_new_lost(run) and way_ended_s(run) is None:
        return "confirmed", (
            f"{told}, and one to another port of the host, which had answered before: no new flow has room on the way."
        )
    if met.arrived is None:
        return "possible", f"{told}; whether they reached the server was not observed ({facts.why_unseen(run)})."
    if met.unanswered is None or met.for_good is None:
        return "possible", f"{told} before the server, but what the client sent was not seen well enough to be sure."
    if met.timeouts < FEW:
        return "possible", (
            f"{plural(met.timeouts, 'SYN was', 'SYNs were')} lost "
            "before the server: too few to tell a limit from chance."
        )
    if (ended_s := way_ended_s(run)) is not None:
        return "possible", f"{told} before the server; or the way to it ended after {ended_s:.1f} s, for all."
    lost = f"{told} on its way: {plural(met.timeouts, 'connect')} timed out and nothing reached the server."
    alike = " A NAT without a port left, or a limit on connections, looks the same: a probe of another port tells."
    return "confirmed", lost if probed.all_new_lost(run) else lost + alike


def _plateau(run: RunResult, met: SynPath) -> list[Evidence]:
    if not met.timeouts:
        return []
    text = f"the first {plural(run.funnel.connected, 'connect')} succeeded"
    if met.for_good is not None:
        text += f"; {met.late:,} came through at a later SYN"
    return [measured("funnel", "connected", run.funnel.connected, text, run.funnel.attempted)]


def remedies(run: RunResult) -> list[Remedy]:
    """What lets more flows through, where to look, and what cannot."""
    return [
        Remedy(
            command="ethtool -S eth0 | grep conntrack_allowance   # EC2, both ends; watch it during the load",
            works=True,
            changes=[changes.LOOK],
            why="A rising conntrack_allowance_exceeded is the instance's flow table; a bigger type has a bigger one.",
        ),
        Remedy(
            command="security groups that allow all traffic both ways (0.0.0.0/0, all ports) are not tracked",
            works=True,
            changes=[changes.flow_table(None)],
            why="EC2 keeps no entry for such flows, so nothing fills. Elsewhere: nft add rule ... notrack.",
        ),
        Remedy(
            command="sysctl -w net.netfilter.nf_conntrack_max=1048576   # on the router or firewall between",
            works=True,
            changes=[changes.flow_table(1048576)],
            why="Where a Linux box on the way tracks flows; `conntrack -C` beside nf_conntrack_max shows its fill.",
        ),
        Remedy(
            command="fewer flows at once: a connection pool; several instances behind a balancer",
            works=True,
            changes=[changes.fewer()],
            why="The table counts flows, so each that is kept or spread leaves room.",
        ),
        Remedy(
            command="ulimit -n 1048576, sysctl -w net.core.somaxconn=65535, net.ipv4.ip_local_port_range",
            works=False,
            changes=[changes.queue(), changes.nofile(1048576, "client"), changes.nofile(1048576, "server")],
            why="The SYN left the client and never arrived: no limit of either end was asked.",
        ),
        longer_timeout("The table stays full while the flows live: each SYN is lost like the first."),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """ENA's counter rose in between; or no more flows are left now."""
    if (left := _left(snapshots.after)) is not None and left <= 0:
        evidence = [measured("ethtool -S", AVAILABLE, left, "no flow is left now")]
        return Judgement("confirmed", f"The instance's flow table is full now: {AVAILABLE} is {left:,}.", evidence)
    counted = between("host", snapshots.before, snapshots.after)
    if not counted:
        text = f"No interface shows {EXCEEDED} at two moments; what a cloud drops only a run from both ends shows."
        return Judgement("not_observed", text, [unknown("ethtool -S", "-", text)])
    evidence = [as_evidence(allowance, BETWEEN_LOOKS) for allowance in counted]
    lost = sum(allowance.lost for allowance in counted)
    if not lost:
        return Judgement("ruled_out", "The instance's flow table dropped nothing.", evidence)
    text = f"The instance's flow table was full: {plural(lost, 'packet was', 'packets were')} dropped between the two."
    return Judgement("confirmed", text, evidence)


def _left(snapshot: Snapshot) -> int | None:
    known = [nic.allowances[AVAILABLE] for nic in snapshot.nics or [] if AVAILABLE in nic.allowances]
    return min(known, default=None)


CAUSE = Cause(
    id="path_flow_table_full",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=1,
    explains={CauseKind.LOST_SYN: "what was lost found no room in a flow table"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    told_by=frozenset({Probe.HELD}),
    twin=Rebuilt("a flow table on the wire of the size at which the record stopped"),
)
