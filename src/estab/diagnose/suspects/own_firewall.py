"""This host itself refuses or drops what it sends: a rule of its own, in OUTPUT or for loopback.

Source: a REJECT for what this host sends makes an ICMP error that the host takes in itself (`nf_send_unreach`,
net/ipv4/netfilter/nf_reject_ipv4.c), and connect() gives ECONNREFUSED. A DROP lets the first SYN vanish without a word;
when it is due again `tcp_retransmit_skb` (net/ipv4/tcp_output.c) gets EPERM back and counts TCPRetransFail. Nothing of
either leaves the host.
"""

from __future__ import annotations

from estab.diagnose import facts, neighbour_tables, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import NETSTAT, connect_timeouts, measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.syn_path import filter_rules
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where what was refused was refused by this host's own ICMP, or what was lost it refused to send."""
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """Connects that were refused or timed out."""
    return sent.refused(run) + facts.connect_timeouts(run)


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    refused, lost = sent.refused(run), facts.connect_timeouts(run)
    if not refused and not lost:
        return "ruled_out", "No connect was refused or timed out."
    own, not_sent = sent.icmp_of_its_own(run), sent.not_sent(run)
    if own is None and not_sent is None:
        return "not_observed", "What this host did with its own packets was not observed."
    # An absent neighbour makes this host send itself an ICMP error too: it held the SYN back before that.
    if refused and (own or 0) * 2 > refused and not sent.held_back(run):
        return "confirmed", f"This host refuses itself: {plural(refused, 'connect')} met an ICMP error of its own."
    if lost and (not_sent or 0) * 2 > lost:
        return _weigh_drops(run, lost, not_sent or 0)
    return "ruled_out", "What failed had left this host."


def _weigh_drops(run: RunResult, lost: int, not_sent: int) -> tuple[Verdict, str]:
    told = f"This host did not send {plural(not_sent, 'packet')}"
    if filter_rules(run).get("client") is False:
        return "possible", f"{told}, and it has no rules that would drop them."
    if (full := neighbour_tables.refused(run)) * 2 > lost:
        return (
            "possible",
            f"{told}: for a rule of its own, or its neighbour table, which was full {plural(full, 'time')}.",
        )
    return "confirmed", f"This host drops its own SYNs: {plural(lost, 'connect')} timed out, and none of them left it."


def _evidence(run: RunResult) -> list[Evidence]:
    evidence = [connect_timeouts(run)]
    if refused := sent.refused(run):
        text = f"{plural(refused, 'connect was', 'connects were')} refused or unreachable"
        evidence.append(measured("failures", "connect ECONNREFUSED, EHOSTUNREACH, ENETUNREACH", refused, text))
    evidence += sent.icmp_evidence(run)
    if (count := sent.not_sent(run)) is not None:
        text = f"TCPRetransFail rose by {count:,}: so often this host refused to send a packet again"
        evidence.append(measured(NETSTAT, sent.NOT_SENT, count, text))
    return evidence


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """ICMP errors that this host made and took in itself, or packets that it refused to send: never more than possible.

    Whose they were the counters do not tell.
    """
    run = snapshots.run(None)
    own, not_sent = sent.icmp_of_its_own(run), sent.not_sent(run)
    if own is None and not_sent is None:
        text = snapshots.why_no_deltas or "ICMP was not observed at both moments."
        return Judgement("not_observed", text, [unknown("/proc/net/snmp", "Icmp", text)])
    evidence = _evidence(run)[1:]
    if own and not sent.held_back(run):
        text = f"This host refused {plural(own, 'packet')} of its own by ICMP: by a rule, or at a closed UDP port."
        return Judgement("possible", text, evidence)
    if not_sent:
        return Judgement(
            "possible", f"This host refused to send {plural(not_sent, 'packet')} again between the two.", evidence
        )
    return Judgement("ruled_out", "This host refused nothing that it sent.", evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """Where the rule stands, and what does not move it."""
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command="nft list ruleset; iptables -S OUTPUT; iptables -S INPUT   # on the client's host",
            works=True,
            changes=[changes.LOOK],
            why=f"The rule with reject or drop that matches port {port}; counters beside it rise with each connect.",
        ),
        Remedy(
            command=f"nft insert rule inet filter output tcp dport {port} accept",
            works=True,
            changes=[changes.ALLOW],
            why="Allow it before the rule that refuses: the first verdict that ends a chain counts.",
        ),
        Remedy(
            command="anything at the server: its backlog, its firewall, its security group",
            works=False,
            changes=[changes.queue()],
            why="No packet left this host.",
        ),
        longer_timeout("The rule stays: each SYN meets it like the first."),
    ]


CAUSE = Cause(
    id="own_firewall",
    side="client",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_SYN,
    specificity=2,
    explains={
        CauseKind.LOST_SYN: "the packets never left this host",
        "nobody_listening": "this host refused in the server's place",
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a rule at the client"),
)
