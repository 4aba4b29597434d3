"""A filter on the way refuses the target from the first SYN on: dropped in silence, or rejected in the server's place.

Source: a DROP frees the packet (kfree_skb reason NETFILTER_DROP, net/netfilter/core.c `nf_hook_slow`) and the client
sends its SYN again until ETIMEDOUT. A REJECT answers: RST or ICMP port-unreachable make ECONNREFUSED, other ICMP codes
EHOSTUNREACH or ENETUNREACH (`icmp_err_convert`, net/ipv4/icmp.c). A prohibit route, a cgroup's BPF program or SELinux
refuses at the client itself with EACCES or EPERM. A listener that is there while RSTs come back did not send them.
"""

from __future__ import annotations

from estab.diagnose import facts, probed, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import longer_timeout
from estab.diagnose.cause import ACCUSED, Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import (
    FEW,
    SynPath,
    arrival_evidence,
    filter_rules,
    listened_throughout,
    netfilter_drops,
    syn_path,
    syns_between,
    way_ended_s,
)
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import every, plural

POLICY = frozenset({"EACCES", "EPERM"})
REJECTED = sent.REFUSED | sent.UNREACHABLE | POLICY


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where no connect got through although a listener is there and was never asked."""
    rejected, met = facts.failed(run, ("connect",), REJECTED), syn_path(run)
    if not rejected and not met.timeouts:
        verdict: Verdict = "ruled_out"
        summary = "No connect was refused, unreachable or timed out."
    elif rejected >= met.timeouts or sent.refused_by_icmp(run) or sent.unreachable_by_icmp(run):
        # A host that refuses by ICMP does so at a bounded rate (net.ipv4.icmp_ratelimit): the rest times out.
        verdict, summary = _weigh_reject(run, rejected)
    else:
        verdict, summary = _weigh_drop(run, met)
    if verdict in ACCUSED and (said := sent.who_said(run.connect_after)) is not None:
        summary = f"{summary} {said}."
    return Judgement(verdict, summary, _evidence(run, rejected, met))


def failures(run: RunResult) -> int:
    """Connects that were refused, unreachable, or timed out."""
    return facts.failed(run, ("connect",), REJECTED | facts.TIMEOUTS)


def _weigh_reject(run: RunResult, rejected: int) -> tuple[Verdict, str]:
    policy = facts.failed(run, ("connect",), POLICY)
    if policy * 2 > rejected and not run.funnel.connected:
        text = (
            "This host's own policy refuses the target: "
            f"{plural(policy, 'connect')} got EACCES or EPERM, no SYN was sent."
        )
        return "confirmed", text
    unreachable = facts.failed(run, ("connect",), sent.UNREACHABLE)
    if unreachable * 2 > rejected and _has_no_route(run, unreachable):
        text = (
            f"This host has no route to the target: {plural(unreachable, 'connect')} failed here, and no SYN was sent."
        )
        return "ruled_out", text
    if sent.refused_by_icmp(run) and not run.funnel.connected:
        text = (
            f"A filter rejects: {plural(rejected, 'connect was', 'connects were')} "
            "refused by ICMP, which a closed port never sends."
        )
        return "confirmed", text
    if facts.listener(run) is None:
        if sent.prohibited_elsewhere(run) and not run.funnel.connected:
            return "confirmed", f"A filter rejects: {plural(rejected, 'connect was', 'connects were')} refused by it."
        return _weigh_reject_unseen(run, rejected, unreachable)
    return _weigh_reject_beside_a_listener(run, rejected)


def _weigh_reject_beside_a_listener(run: RunResult, rejected: int) -> tuple[Verdict, str]:
    if not listened_throughout(run):
        return "ruled_out", "The listener was not there all the time: its absence refuses."
    if sent.reset_by_server(run):
        if facts.listened_where_asked(run):
            return "possible", "A listener is there, but its host sent RSTs too: which of them refused is not told."
        return "ruled_out", "The server's host itself refused: nothing listens at that address there."
    if run.funnel.connected:
        return _weigh_reject_after_others(run, rejected)
    return (
        "confirmed",
        f"A filter rejects: {plural(rejected, 'connect was', 'connects were')} refused, though a listener is there.",
    )


def _weigh_reject_after_others(run: RunResult, rejected: int) -> tuple[Verdict, str]:
    text = f"{plural(rejected, 'connect was', 'connects were')} refused"
    ended_s = way_ended_s(run)
    if ended_s is not None and sent.unreachable_by_icmp(run) and not syn_path(run).went_on:
        return "confirmed", (
            f"After {ended_s:.1f} s nothing got through any more: {text} or unreachable, as somebody on the way said "
            "by ICMP, and the listener was there. A rule that was set, or a route or a link that went."
        )
    return "possible", f"{text} while others succeeded and a listener was there."


def _has_no_route(run: RunResult, unreachable: int) -> bool:
    """Whether connect() failed before it sent anything (`tcp_v4_connect` in `net/ipv4/tcp_ipv4.c`: OutNoRoutes; a route
    that is there to forbid counts nothing, and neither begins a connection)."""
    routes = sent.without_route(run.client) or 0
    return routes >= unreachable or run.client.rose("Tcp.ActiveOpens") == 0


def _weigh_reject_unseen(run: RunResult, rejected: int, unreachable: int) -> tuple[Verdict, str]:
    if unreachable * 2 > rejected and not run.funnel.connected:
        text = (
            f"{plural(unreachable, 'connect')} got EHOSTUNREACH or "
            "ENETUNREACH: a filter's REJECT, a missing route or host."
        )
        return "possible", text
    if run.server.observed:
        return "ruled_out", "No listener is there: its absence refuses."
    text = f"A REJECT looks like a missing listener from here; the server was not observed ({facts.why_unseen(run)})."
    return "not_observed", text


def _weigh_drop(run: RunResult, met: SynPath) -> tuple[Verdict, str]:
    if run.funnel.connected:
        return _weigh_drop_after_others(run, met)
    if (innocent := met.reached) is not None:
        return "ruled_out", innocent
    dropped = (netfilter_drops(run) or 0) >= met.timeouts
    if dropped and any(filter_rules(run).values()):
        return "confirmed", f"A firewall here drops the SYNs: {every(met.timeouts, 'connect')} timed out."
    if met.arrived is None:
        return "possible", f"No connect got through{_who_is_there(run)} ({facts.why_unseen(run)})."
    if met.unanswered is None:
        return "possible", "No connect got through and none arrived, but what the client sent was not observed."
    return (
        "confirmed",
        f"A filter drops the SYNs: {every(met.timeouts, 'connect')} timed out and none reached the listener.",
    )


def _who_is_there(run: RunResult) -> str:
    """What probes say of the target's host, up to why the server was not seen."""
    is_there = probed.host_is_there(run)
    if is_there is None:
        return "; the server's end was not observed"
    if not is_there:
        return ", and nothing else of the host answers: it is gone or cut off, or all of it is filtered"
    return ", though its host answers: this port is filtered, or its server's queue is full"


def _weigh_drop_after_others(run: RunResult, met: SynPath) -> tuple[Verdict, str]:
    ended_s = way_ended_s(run)
    if met.reached is None and met.for_good and not met.went_on and met.timeouts >= FEW and ended_s is not None:
        text = f"After {ended_s:.1f} s nothing got through any more"
        return "possible", f"{text}: a rule may have been set, or a route or a link gone."
    return "ruled_out", f"{plural(run.funnel.connected, 'connect')} got through: a filter lets all through or none."


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Connects of this host that nobody answers; whether that is a filter's doing is not told."""
    syns = syns_between(snapshots)
    if syns.again is None:
        text = snapshots.why_no_deltas or "TCPSynRetrans was not observed at both moments."
        return Judgement("not_observed", text, syns.evidence)
    if (innocent := syns.why_not) is not None:
        return Judgement("ruled_out", innocent, syns.evidence)
    if syns.waiting is None:
        return Judgement("not_observed", "Connects that wait for an answer were not counted.", syns.evidence)
    if not syns.waiting:
        return Judgement("ruled_out", "No connect of this host waited for an answer at both moments.", syns.evidence)
    text = (
        f"{plural(syns.waiting, 'connect')} of this host wait for an answer, and {plural(syns.again, 'SYN')} "
        "were sent again: a filter drops them, or whom they ask is not there."
    )
    return Judgement("possible", text, syns.evidence)


# Evidence ----------------------------------------------------------------------------------------------------------


def _evidence(run: RunResult, rejected: int, met: SynPath) -> list[Evidence]:
    text = f"{plural(rejected, 'connect was', 'connects were')} refused or unreachable, {met.timeouts:,} timed out"
    field = "connect ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EACCES, EPERM"
    evidence = [measured("failures", field, rejected, text)]
    if not rejected and not met.timeouts:
        return evidence
    text = f"{run.funnel.connected:,} of {plural(run.funnel.attempted, 'connect')} succeeded"
    evidence.append(measured("funnel", "connected", run.funnel.connected, text))
    refusal = [*sent.icmp_evidence(run), *sent.reset_evidence(run)] if rejected else []
    refusal += sent.after_evidence(run.connect_after)
    return [
        *evidence, *refusal, *arrival_evidence(run), *_rules(run), *_dropped(run), *probed.host_evidence(run),
    ]  # fmt: skip


def _rules(run: RunResult) -> list[Evidence]:
    rules = filter_rules(run)
    if not rules:
        return [unknown("nft, iptables", "rules", "firewall rules were not observed at either end")]
    return [
        measured(
            "nft, iptables",
            "rules",
            str(there).lower(),
            f"the {end} has {'nft or iptables rules' if there else 'no nft or iptables rules'}",
            None,
        )
        for end, there in rules.items()
    ]


def _dropped(run: RunResult) -> list[Evidence]:
    drops = netfilter_drops(run)
    if drops is None:
        return []
    text = f"tracefs showed {plural(drops, 'drop')} by a firewall of this host (NETFILTER_DROP, all its namespaces)"
    return [measured("tracefs", facts.NETFILTER_DROP, drops, text)]


def remedies(run: RunResult) -> list[Remedy]:
    """Where the filter may stand, and what does not move it."""
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command="nft list ruleset; iptables -S; ip6tables -S   # at both ends and on each router between",
            works=True,
            changes=[changes.LOOK],
            why=f"Look for drop or reject that matches port {port}, and for a chain's policy drop.",
        ),
        Remedy(
            command=f"nft insert rule inet filter input tcp dport {port} accept   # cloud: its security group",
            works=True,
            changes=[changes.ALLOW],
            why="Allow it before the rule that drops: the first verdict that ends a chain counts.",
        ),
        Remedy(
            command=f"tcpdump -ni any 'tcp port {port}'   # at both ends during a connect",
            works=True,
            changes=[changes.LOOK],
            why="The SYN leaves and never arrives: the filter is between. It arrives: it is the server's own.",
        ),
        Remedy(
            command="a bigger backlog, sysctl -w net.core.somaxconn=65535, ulimit -n",
            works=False,
            changes=[changes.queue()],
            why="No packet reached the listener: none of its limits was asked.",
        ),
        longer_timeout("The rule stays: each SYN meets it like the first."),
    ]


CAUSE = Cause(
    id="path_filtered",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=1,
    explains={"nobody_listening": "a listener is there, so what refused stands before it"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a filter on the wire that drops, resets or prohibits, as the errors say"),
)
