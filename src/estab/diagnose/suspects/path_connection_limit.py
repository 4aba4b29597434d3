"""Something on the way lets so many connections live at once, and refuses or drops the SYN of one beyond.

Source: `connlimit` of iptables and `ct count` of nftables count what connection tracking has of a client, a network or
a port, without what is closed (`nf_conncount_add`, `already_closed`, net/netfilter/nf_conncount.c); the rule then
rejects or drops. A REJECT makes its own RST or ICMP (`nf_send_reset`, net/ipv4/netfilter/nf_reject_ipv4.c), which the
server's TCP does not count in OutRsts. What is dropped looks as where a flow table is full: path_flow_table_full.
"""

from __future__ import annotations

from estab.diagnose import closings, facts, probed, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog, longer_timeout
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Probe, Rebuilt
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.syn_path import FEW, listened_throughout, syn_path
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

_LATER_S = 1.0  # a limit of rate that refuses lets the next one pass by then, unless it is below one a second


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where those that came first stayed, and each later one was refused by somebody between, to the end."""
    return Judgement(*_weigh(run), _evidence(run))


def failures(run: RunResult) -> int:
    """Connects that were refused, or those that timed out where these are more."""
    return max(sent.refused(run), facts.connect_timeouts(run))


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    if (why := _why_no_number(run)) is not None:
        return "ruled_out", why
    if run.arrival_order is None:
        return "not_observed", "Only a load that keeps its connections can show this: run estab hold."
    return _weigh_refused(run) if sent.refused(run) >= facts.connect_timeouts(run) else _weigh_lost(run)


def _why_no_number(run: RunResult) -> str | None:
    """Why it is no number of connections that decided. None: it may be."""
    if not failures(run):
        return "No connect was refused or timed out."
    if not run.funnel.connected:
        return "No connect got through, and a limit lets the first ones through."
    if closings.first_stayed(run) is False:
        return "Connects failed before others got through: a share of them, or a time, and not a number."
    late = run.late_connect
    if late is not None and late.errno is None:
        return f"One more connect got through when {late.open:,} were open: no number of them was the limit."
    return None


def _weigh_refused(run: RunResult) -> tuple[Verdict, str]:
    refused = sent.refused(run)
    if (sent.icmp_of_its_own(run) or 0) * 2 > refused:
        return "ruled_out", "This host itself refused."
    told = (
        f"{plural(run.funnel.connected, 'connection')} got through, and "
        f"{plural(refused, 'later connect was', 'later connects were')} refused"
    )
    if not run.server.observed:
        return "possible", f"{told}: a limit on the way, or a listener that went away ({facts.why_unseen(run)})."
    if not listened_throughout(run):
        return "ruled_out", "The listener was not there all the time: its absence refuses."
    if not sent.refused_by_icmp(run) and sent.reset_by_server(run) is not False:
        return _reset_there(run, told)
    if (doubt := _doubt(run, refused)) is not None:
        return "possible", f"{told} by somebody between, but {doubt}."
    return "confirmed", f"A limit on the way: {told} by somebody between, as long as those were open."


def _reset_there(run: RunResult, told: str) -> tuple[Verdict, str]:
    if sent.reset_by_server(run) is None:
        return "possible", f"{told}; whether the server's host sent the RSTs was not observed."
    return "ruled_out", "The server's host itself sent the RSTs."


def _doubt(run: RunResult, refused: int) -> str | None:
    """What keeps it from being confirmed. None: nothing does."""
    if refused < FEW or closings.first_stayed(run) is None:
        return "they were too few to tell a number from chance"
    late = run.late_connect
    last_s = max((each.last_s or 0.0 for each in run.failures if sent.refused_among([each])), default=0.0)
    if late is None or late.at_s - last_s < _LATER_S:
        return "a limit on connects a second may do so too (a longer -d would tell)"
    return None


def _weigh_lost(run: RunResult) -> tuple[Verdict, str]:
    met = syn_path(run)
    if (innocent := met.reached) is not None:
        return "ruled_out", innocent
    if met.for_good is False or met.went_on:
        return "ruled_out", "Connects came through at a second SYN, or after others were lost: a limit lets none."
    if probed.all_new_lost(run):
        return "ruled_out", "Another port of the host was silent too: no limit on connections to this one."
    if closings.first_stayed(run) is None:
        return "not_observed", "Too few to tell whether those that came first stayed."
    if probed.port_alone(run):
        return "possible", (
            f"{plural(run.funnel.connected, 'connection')} got through, and each later SYN to this port was lost while "
            f"another port of the host answered: {probed.at_this_port(run)}."
        )
    return "possible", (
        f"{plural(run.funnel.connected, 'connection')} got through, and each later SYN was lost: a rule that drops "
        "what is beyond so many looks as a full flow table does, but for another address or another port of the server."
    )


# Evidence ----------------------------------------------------------------------------------------------------------


def _evidence(run: RunResult) -> list[Evidence]:
    refused, lost = sent.refused(run), facts.connect_timeouts(run)
    text = f"{plural(refused, 'connect was', 'connects were')} refused or unreachable, {lost:,} timed out"
    evidence = [measured("failures", "connect ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT", refused + lost, text)]
    if not refused and not lost:
        return evidence
    text = f"{run.funnel.connected:,} of {plural(run.funnel.attempted, 'connect')} succeeded"
    evidence += [measured("funnel", "connected", run.funnel.connected, text), closings.order_evidence(run)]
    evidence += probed.host_evidence(run)
    if refused:
        evidence += [_late_evidence(run), *sent.icmp_evidence(run), *sent.reset_evidence(run)]
    return evidence


def _late_evidence(run: RunResult) -> Evidence:
    late = run.late_connect
    if late is None:
        return unknown("late_connect", "errno", "no connect was tried later, while the others were open")
    text = f"one more connect after {late.at_s:.1f} s, while {late.open:,} were open: {late.errno or 'it got through'}"
    return measured("late_connect", "errno", late.errno or "connected", text, None)


# Remedies ----------------------------------------------------------------------------------------------------------


def remedies(run: RunResult) -> list[Remedy]:
    """Whose limit it may be, what stays below it, and what does not move it."""
    few = run.funnel.connected
    return [
        Remedy(
            command="nft list ruleset | grep -n 'ct count'; iptables -S | grep connlimit   # on each hop",
            works=True,
            changes=[changes.LOOK],
            why="A rule with that number; or the quota of the firewall, the balancer or the cloud on the way.",
        ),
        Remedy(
            command="raise that number, or take this client out of it",
            works=True,
            changes=[changes.mend("a limit of connections at once")],
            why="Counts at once: the SYNs were refused for no other reason.",
        ),
        Remedy(
            command=f"a pool at the clients: no more than {plural(few, 'connection')} at once, all clients together",
            works=True,
            changes=[changes.fewer(few)],
            why="What is let through is enough where connections are used again.",
        ),
        bigger_backlog("The SYN was refused before it reached the listener."),
        Remedy(
            command="ulimit -n 65536, maxclients, max_connections",
            works=False,
            changes=[changes.nofile(65536, "server")],
            why="The program never saw what was refused.",
        ),
        longer_timeout("Each SYN meets the same number for as long as the others are open."),
    ]


CAUSE = Cause(
    id="path_connection_limit",
    side="path",
    stage=ConnectionStage.PATH,
    specificity=2,
    explains={
        "path_filtered": "so many got through, and what came beyond was refused",
        "nobody_listening": "a listener is there, so what refused stands before it",
    },
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Who is refused for being one too many shows only when connections are made"),
    failures=failures,
    remedies=remedies,
    told_by=frozenset({Probe.HELD}),
    twin=Rebuilt("a limit on the wire of as many connections as got through"),
)
