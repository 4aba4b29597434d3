"""Nothing listens on the target's address and port: each SYN is answered by RST.

Source: `tcp_v4_rcv` (net/ipv4/tcp_ipv4.c) finds no socket and calls `tcp_v4_send_reset`; the client's
`tcp_rcv_synsent_state_process` (net/ipv4/tcp_input.c) makes ECONNREFUSED of it. A firewall's REJECT gives the same
errno. A full accept queue never does: it is silent.
"""

from __future__ import annotations

from dataclasses import replace

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog, longer_timeout
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import measured, unknown
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence, Listener, Program, Remedy, RunResult
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where most connects were refused and none succeeded, or the listener was seen gone afterwards."""
    count = failures(run)
    evidence = _evidence(run, count)
    if not count:
        return Judgement("ruled_out", "No connect was refused.", evidence)
    if sent.refused_by_icmp(run):
        text = "An ICMP error refused: a port where nothing listens answers by RST."
        return Judgement("ruled_out", text, evidence + sent.icmp_evidence(run))
    most = count * 2 > facts.connect_failures(run)
    if not run.funnel.connected and sent.reset_by_server(run) and facts.listened_where_asked(run):
        text = "A listener is there, and its host sent RSTs too: those that refused may be a firewall's."
        return Judgement("possible", text, evidence)
    if not run.funnel.connected and most:
        text = (
            f"Nothing listens at {_target(run)}: {count:,} of "
            f"{plural(run.funnel.attempted, 'connect was', 'connects were')} refused."
        )
        return Judgement("confirmed", text, evidence)
    if _gone_afterwards(run) and most:
        text = f"The listener went away during the run: {plural(count, 'connect was', 'connects were')} refused."
        return Judgement("confirmed", text, evidence)
    beside = f"while {run.funnel.connected:,} succeeded" if run.funnel.connected else "and others timed out"
    refused = plural(count, "connect was", "connects were")
    text = f"{refused} refused {beside}: a listener that restarts, or a firewall's REJECT."
    return Judgement("possible", text, evidence)


def judge_program(run: RunResult) -> Judgement:
    """As in a run where each connect was traced. Else the counters are all programs': sure where that target was asked
    for and nobody listens there, or where its own socket was met connecting and no connect there ended otherwise.
    """
    judged, program = judge_run(run), run.program
    if judged.verdict != "confirmed" or program is None or not program.sampled:
        return judged
    seen_there = {endpoint(target.address, target.port) for target in program.targets if target.seen}
    if _gone_afterwards(run) and run.config.get("target") not in {None, *seen_there}:
        return judged
    if _only_refusals(run) and _met_connecting(run, program):
        return judged
    refused = plural(failures(run), "connect was", "connects were")
    text = (
        f"{refused} refused in this network namespace; whether {program.name} made them can't be told, for they are "
        "over before a look (--to TARGET tells where it is on this host)."
    )
    return replace(judged, verdict="possible", summary=text)


def _only_refusals(run: RunResult) -> bool:
    """Whether each connect of the namespace was refused, the program's own among them: it began after the count did."""
    return run.command == "run" and run.funnel.attempted == failures(run)


def _met_connecting(run: RunResult, program: Program) -> bool:
    """Whether a look met a socket of the program that began to connect to the target, and none that got further."""
    there = [each for each in program.targets if endpoint(each.address, each.port) == run.config.get("target")]
    return any(target.seen and not target.most_open and not target.worst_resent for target in there)


def failures(run: RunResult) -> int:
    """Connects that were refused."""
    return facts.failed(run, ("connect",), ("ECONNREFUSED",))


def _target(run: RunResult) -> str:
    target = run.config.get("target")
    if isinstance(target, str) and target:
        return target
    port = facts.target_port(run)
    return "the target" if port is None else f"port {port}"


def _local_listeners(run: RunResult) -> list[Listener] | None:
    """Who listens on the target's port on the server's host after the run. None: not observed."""
    after = run.server.after if run.server.observed else None
    if after is None or after.listeners is None:
        return None
    port = facts.target_port(run)
    return [listener for listener in after.listeners if listener.port == port]


def _gone_afterwards(run: RunResult) -> bool:
    return facts.target_port(run) is not None and _local_listeners(run) == []


def _evidence(run: RunResult, count: int) -> list[Evidence]:
    text = f"{plural(count, 'connect')} got ECONNREFUSED: a RST or an ICMP error came back"
    if not count:
        text = "no connect got ECONNREFUSED"
    evidence = [measured("failures", "connect ECONNREFUSED", count, text)]
    if not count:
        return evidence
    text = f"{run.funnel.connected:,} of {plural(run.funnel.attempted, 'connect')} succeeded"
    evidence.append(measured("funnel", "connected", run.funnel.connected, text))
    listeners = _local_listeners(run)
    if listeners is None:
        text = f"the server's end: {facts.why_unseen(run)} (a firewall's REJECT looks the same)"
        evidence.append(unknown("sock_diag", "listeners", text))
    else:
        where = ", ".join(endpoint(listener.address, listener.port) for listener in listeners) or "none"
        text = f"listeners on that port after the run: {where}"
        evidence.append(measured("sock_diag", "listeners", len(listeners), text, 1))
        evidence += sent.reset_evidence(run)
    return evidence


def remedies(run: RunResult) -> list[Remedy]:
    """Where to look and what to start, and what a refusal never asks."""
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command=f"ss -ltnp 'sport = :{port}'   # at the server",
            works=True,
            changes=[changes.LOOK],
            why="No line: start the server. 127.0.0.1 in it: it is bound to loopback, bind it to 0.0.0.0 or [::].",
        ),
        Remedy(
            command=f"start the server, on port {port} and on an address that clients reach (0.0.0.0 or [::])",
            works=True,
            changes=[changes.LISTEN],
            why="Nothing listens there: the kernel itself refuses.",
        ),
        Remedy(
            command=f"nft list ruleset | grep -n reject; iptables -S | grep -E 'REJECT|port {port}( |$)'",
            works=True,
            changes=[changes.LOOK],
            why="Where something does listen, a REJECT rule on the way answers in its place.",
        ),
        bigger_backlog("A full queue is silent and ends in ETIMEDOUT; it never refuses."),
        longer_timeout("The refusal came at once; waiting changes nothing."),
    ]


CAUSE = Cause(
    id="nobody_listening",
    side="server",
    stage=ConnectionStage.LISTENER,
    explains={
        "server_not_accepting": "nothing listens, so nothing accepts",
        "accept_queue_overflow": "nothing listens, so there is no queue",
    },
    judge_run=judge_run,
    judge_program=judge_program,
    judge_snapshots=NeedsRun("Which port a client asks for is not known here"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a host without a listener"),
)
