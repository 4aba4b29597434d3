"""Nothing listens on the port, and nothing can: a connection that leaves from it, or a socket bound to it, has it.

Source: `inet_csk_bind_conflict` (net/ipv4/inet_connection_sock.c) gives EADDRINUSE; `__inet_hash_connect`
(net/ipv4/inet_hashtables.c) takes local ports from ip_local_port_range, whoever means to listen there, but for those of
ip_local_reserved_ports. `estab.diagnose.port_holders` says which sockets conflict.
"""

from __future__ import annotations

from estab.diagnose import facts, port_holders
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence, PortHolder, Remedy, RunResult, Snapshot
from estab.words import plural

_IN_USE = "EADDRINUSE"


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where bind() failed, or connects were refused and one connection had the port before and after.

    A socket that did bind() alone may be the server's own, before its listen().
    """
    refused, bound = failures(run), _binds_refused(run)
    if not refused and not bound and not _may_have_failed_to_bind(run):
        text = "No connect was refused, and no bind() was seen to fail."
        return Judgement("ruled_out", text, [measured("failures", "connect ECONNREFUSED", 0, "no connect was refused")])
    evidence, port, after = _failed(refused, bound), facts.target_port(run), run.server.after
    if port is None or not run.server.observed or after is None:
        return _of_no_port(run, bound, evidence)
    if any(listener.port == port for listener in after.listeners or ()):
        return Judgement("ruled_out", f"Something listens on port {port} after all.", evidence or [_listens(port)])
    now = port_holders.conflicting(after, port)
    if now is None:
        text = "Who has the port was not observed."
        return Judgement("not_observed", text, [*evidence, unknown("sock_diag", "port_holders", text)])
    return _of_port(port, port_holders.conflicting(run.server.before, port), now, bound, evidence)


def _listens(port: int) -> Evidence:
    return measured("sock_diag", "listeners", None, f"a listener on port {port}", None)


def _of_port(
    port: int, then: list[PortHolder] | None, now: list[PortHolder], bound: int, evidence: list[Evidence]
) -> Judgement:
    """Of a port on which nothing listens: who had it before and has it now."""
    evidence = [*evidence, *_holders(now, port)]
    if not now:
        text = f"Nothing has port {port}: a server can listen there."
        return Judgement("ruled_out", text, [*evidence, measured("sock_diag", "port_holders", 0, text)])
    told = f"Nothing listens on port {port}, and {port_holders.words(now, port)}: bind() to it fails ({_IN_USE})"
    stayed = [holder for holder in now if any(port_holders.same(holder, before) for before in then or ())]
    if bound or any(map(port_holders.is_connection, stayed)):
        return Judgement("confirmed", f"{told}.", evidence)
    when = ", unless that is the server, which has not called listen() yet" if stayed else ", as it was after the run"
    return Judgement("possible", f"{told}{when}.", evidence)


def _of_no_port(run: RunResult, bound: int, evidence: list[Evidence]) -> Judgement:
    if not bound:
        text = f"Who has the port was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [*evidence, unknown("sock_diag", "port_holders", text)])
    times = plural(bound, "time")
    text = f"bind() failed {times} ({_IN_USE}); at which port is not seen: --to HOST:PORT tells who has it."
    return Judgement("possible", text, evidence)


def _binds_refused(run: RunResult) -> int:
    """How often a bind() of the program's was refused the address; 0 where that was not traced."""
    failed = (run.program.bind_failures if run.program is not None else None) or ()
    return sum(each.count for each in failed if each.errno == _IN_USE)


def _may_have_failed_to_bind(run: RunResult) -> bool:
    """Whether it is a program whose calls were not traced, and which ended with a failure."""
    return run.program is not None and run.program.bind_failures is None and bool(run.program.exit)


def _failed(refused: int, bound: int) -> list[Evidence]:
    evidence = []
    if bound:
        text = f"bind() gave {_IN_USE} {plural(bound, 'time')}"
        evidence.append(measured("syscalls/sys_exit_bind", "ret", bound, text))
    if refused:
        text = f"{plural(refused, 'connect was', 'connects were')} refused"
        evidence.append(measured("failures", "connect ECONNREFUSED", refused, text))
    return evidence


def _holders(holders: list[PortHolder], port: int) -> list[Evidence]:
    told = []
    for holder in holders[:3]:
        peer = "none" if holder.peer_address is None else endpoint(holder.peer_address, holder.peer_port or 0)
        whose = "nobody's" if holder.owner is None else f"of {holder.owner.words}"
        text = f"{holder.state} {endpoint(holder.address, port)}, peer {peer}, {whose}"
        told.append(measured("sock_diag", "state", holder.state, text, None))
    return told


def failures(run: RunResult) -> int:
    """Connects that were refused."""
    return facts.failed(run, ("connect",), ("ECONNREFUSED",))


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Possible where it was asked for a port on which nothing listens and that somebody has."""
    after: Snapshot = snapshots.after
    port = port_holders.port_of(after)
    holders = port_holders.conflicting(after, port) if port is not None else None
    if port is None or holders is None:
        text = "At which port a server is wanted where nothing listens is not known here: estab observe --port PORT."
        return Judgement("not_observed", text, [unknown("sock_diag", "port_holders", text)])
    if not holders:
        text = f"Nothing has port {port}: a server can listen there."
        return Judgement("ruled_out", text, [measured("sock_diag", "port_holders", 0, text)])
    text = f"Nothing listens on port {port}, and {port_holders.words(holders, port)}: bind() to it fails ({_IN_USE})."
    return Judgement("possible", text, _holders(holders, port))


def remedies(run: RunResult) -> list[Remedy]:
    """A port that connect() does not take, and the one that has it ended; and what is no help at one side alone."""
    port = facts.target_port(run)
    at = "PORT" if port is None else str(port)
    after = run.server.after or run.client.after
    holders = (port_holders.conflicting(after, port) if port is not None else None) or []
    pid = next((str(holder.owner.pid) for holder in holders if holder.owner is not None), None)
    reserved = changes.sysctl("net.ipv4.ip_local_reserved_ports", at)
    end = f"kill {pid}; ss -K sport = :{at}" if pid is not None else f"ss -K sport = :{at}"
    return [
        Remedy(
            command=f"ss -tanpe 'sport = :{at}'",
            works=True,
            changes=[changes.LOOK],
            why="Who has the port, in which state, and towards whom.",
        ),
        Remedy(
            command=f"sysctl -w net.ipv4.ip_local_reserved_ports={at}   # with those that stand there already",
            works=True,
            changes=[reserved],
            why="connect() leaves these ports out from then on; what has the port keeps it until it is closed.",
        ),
        Remedy(
            command="listen on a port outside of net.ipv4.ip_local_port_range (32768 to 60999 by default)",
            works=True,
            changes=[changes.program("the port that it listens on", "server")],
            why="connect() takes ports from that range alone.",
        ),
        Remedy(
            command=f"{end}   # and start the server at once",
            works=True,
            changes=[changes.elsewhere("a connection of another program")],
            why="Gives the port back now; another connect() may take it again. (A TIME-WAIT ends within 60 s.)",
        ),
        Remedy(
            command="SO_REUSEADDR at the server alone",
            works=False,
            changes=[changes.program("an option of its listener", "server")],
            why="Both sockets must have set it; what connect() gave the port has not.",
        ),
        bigger_backlog("listen() is not reached: bind() fails before it."),
    ]


CAUSE = Cause(
    id="listen_port_taken",
    side="server",
    stage=ConnectionStage.LISTENER,
    specificity=1,
    explains={
        "nobody_listening": "a server can't listen there, for the port is taken",
        "server_not_accepting": "nothing listens, so nothing accepts",
        "accept_queue_overflow": "nothing listens, so there is no queue",
    },
    judge_run=judge_run,
    judge_program=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("another program that has the port by connect()"),
)
