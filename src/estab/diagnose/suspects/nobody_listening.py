"""Nothing listens on the target's address and port: each SYN is answered by RST.

Source: `tcp_v4_rcv` (net/ipv4/tcp_ipv4.c) finds no socket and calls `tcp_v4_send_reset`; the client's
`tcp_rcv_synsent_state_process` (net/ipv4/tcp_input.c) makes ECONNREFUSED of it. A firewall's REJECT gives the same
errno. A full accept queue never does: it is silent. Of a UNIX socket it is the path: ENOENT where there is no such file
(`unix_find_bsd`, net/unix/af_unix.c), ECONNREFUSED where its socket is gone or does not listen yet, and of an abstract
one (`unix_find_abstract`).
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog, longer_timeout
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import measured, unknown
from estab.kernel.formats.endpoint import UNIX, endpoint
from estab.records import Evidence, Listener, Program, Remedy, RunResult
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where most connects were refused and none succeeded, or the listener was seen gone afterwards."""
    path = facts.unix_target(run)
    return _judge_tcp(run) if path is None else _judge_unix(run, path)


def _judge_tcp(run: RunResult) -> Judgement:
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


def _judge_unix(run: RunResult, path: str) -> Judgement:
    """Of a UNIX socket: nobody but the kernel answers, so that a refusal is sure."""
    missing, refused = facts.failed(run, ("connect",), ("ENOENT",)), facts.failed(run, ("connect",), ("ECONNREFUSED",))
    evidence = [
        measured("failures", "connect ENOENT", missing, f"{plural(missing, 'connect')} found no such file (ENOENT)"),
        measured("failures", "connect ECONNREFUSED", refused, f"{plural(refused, 'connect')} got ECONNREFUSED"),
    ]
    if not missing + refused:
        return Judgement("ruled_out", f"No connect to {path} was refused.", evidence)
    tried = plural(run.funnel.attempted, "connect")
    if run.funnel.connected:
        text = f"{missing + refused:,} of {tried} to {path} found nobody: its server came, went or began anew."
        return Judgement("possible", text, evidence)
    if missing:
        return Judgement("confirmed", f"There is no {path}: {missing:,} of {tried} got ENOENT.", evidence)
    if path.startswith(f"{UNIX}@"):
        text = f"Nobody listens on {path}: {refused:,} of {tried} were refused."
    else:
        text = f"{path} is there and nobody listens on it (any more, or yet): {refused:,} of {tried} were refused."
    return Judgement("confirmed", text, evidence)


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
    """Connects that were refused, or found no UNIX socket by that path."""
    missing = ("ENOENT",) if facts.unix_target(run) is not None else ()
    return facts.failed(run, ("connect",), ("ECONNREFUSED", *missing))


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
    if (path := facts.unix_target(run)) is not None:
        return _unix_remedies(path.removeprefix(UNIX))
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


def _unix_remedies(path: str) -> list[Remedy]:
    return [
        Remedy(
            command=f"ss -lxp | grep -F {shlex.quote(path)}   # at the server",
            works=True,
            changes=[changes.LOOK],
            why="No line: start the server. Another path: ask for that one, or have the server listen on this.",
        ),
        Remedy(
            command=f"start the server, on unix:{path}",
            works=True,
            changes=[changes.LISTEN],
            why="A file that was left behind serves nobody: the server removes it, binds it anew and listens.",
        ),
        Remedy(
            command="PrivateTmp=no   # [Service] of its unit, for a path below /tmp; a container: mount its directory",
            works=True,
            changes=[changes.elsewhere("which files a process sees: the lab's all see the same")],
            why="Another mount namespace has another /tmp: there may be a socket there that nobody sees from here.",
        ),
        bigger_backlog("A full queue gives EAGAIN, or makes the client wait; it never refuses."),
        Remedy(
            command=f"chmod 666 {shlex.quote(path)}",
            works=False,
            changes=[changes.elsewhere("who may open the socket's file")],
            why="Who may not connect gets EACCES; this says that nobody is there.",
        ),
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
    over_unix=True,
    remedies=remedies,
    twin=Rebuilt("a host without a listener"),
)
