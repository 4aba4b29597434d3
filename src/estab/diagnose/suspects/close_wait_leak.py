"""Clients closed, the program did not: its descriptors fill with connections in CLOSE-WAIT.

Source: `tcp_fin` (net/ipv4/tcp_input.c) moves a socket to CLOSE_WAIT at the client's FIN; only the program's close()
takes it further (`tcp_close_state`, net/ipv4/tcp.c). No timer of the kernel ends it, so each one that is forgotten
keeps its descriptor until the process ends, and at RLIMIT_NOFILE accept() fails.
What waits unaccepted is in CLOSE-WAIT as well once its client gave up: the depth of the queue is taken off.
"""

from __future__ import annotations

from estab.diagnose import descriptors, facts
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.descriptors import FullestProcess
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.records import Evidence, Remedy, RunResult, Snapshot
from estab.words import plural

_STATE = "CLOSE-WAIT"
# Fewer are met wherever a program is slow to read: only more of them than that, and rising, are a suspicion.
_FEW = 20
# Of what a run opened and its clients closed again, so much is still open: nothing was closed, or next to nothing.
_NEARLY_ALL = 0.9


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where half of the descriptors of a process without a spare one are such connections."""
    port = facts.target_port(run)
    unclosed = None if port is None else _unclosed_by_run(run, port)
    full = descriptors.fullest_server(run)
    if unclosed is None:
        if full is not None and not full.at_limit:
            return Judgement("ruled_out", "The server had descriptors to spare.", descriptors.evidence(full))
        text = f"Whether the server closes what its clients closed was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [unknown("sock_diag", _STATE, text)])
    evidence = [_unclosed_evidence(unclosed, port), *descriptors.evidence(full)]
    if _took_all(unclosed, full):
        return Judgement("confirmed", _summary(unclosed, full), evidence)
    opened = run.funnel.connected
    if run.command == "churn" and unclosed > _FEW and unclosed >= opened * _NEARLY_ALL:
        text = f"Of {plural(opened, 'connection')} that the clients closed, the server had not closed {unclosed:,}."
        return Judgement("possible", text, evidence)
    return Judgement("ruled_out", f"{_stand(unclosed)} open that the client had closed.", evidence)


def failures(run: RunResult) -> int:
    """As for any server without a descriptor: what timed out, was reset or ended early."""
    return facts.unserved(run)


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Where they filled a process it is confirmed; where they rose between the two it is possible."""
    counted = ((queue, _unclosed(snapshots.after, queue.now.port)) for queue in snapshots.queues)
    read = [(queue, unclosed) for queue, unclosed in counted if unclosed is not None]
    if not read:
        text = "The listeners or the sockets of their ports were not observed."
        return Judgement("not_observed", text, [unknown("sock_diag", _STATE, text)])
    queue, unclosed = max(read, key=lambda pair: pair[1])
    about = snapshots.run(queue)
    full = descriptors.fullest_server(about)
    evidence = [_unclosed_evidence(unclosed, queue.now.port), *descriptors.evidence(full)]
    if _took_all(unclosed, full):
        return Judgement("confirmed", _summary(unclosed, full), evidence, about=about)
    before = None if snapshots.before is None else _unclosed(snapshots.before, queue.now.port)
    if before is None and unclosed > _FEW:
        text = f"{_stand(unclosed)} in CLOSE-WAIT at {queue.where}; whether they rise shows in a second snapshot."
        return Judgement("not_observed", text, evidence)
    if before is None or unclosed <= max(_FEW, before):
        text = f"{_stand(unclosed)} in CLOSE-WAIT at {queue.where}, no more than before."
        return Judgement("ruled_out", text, evidence)
    return Judgement("possible", _rising(snapshots, queue, (before, unclosed), full), evidence, about=about)


def _unclosed_by_run(run: RunResult, port: int) -> int | None:
    """What was left open of what clients had closed. None: not read.

    Only churn closes on the way. What other loads close at their end a server may be about to close, so of these only
    what was there before them counts.
    """
    after = _unclosed(run.server.after, port)
    if after is None or run.command == "churn":
        return after
    return min(after, _unclosed(run.server.before, port) or 0)


def _rising(snapshots: Snapshots, queue: Queue, unclosed: tuple[int, int], full: FullestProcess | None) -> str:
    before, now = unclosed
    text = (
        f"In {snapshots.span_s:,.1f} s the connections in CLOSE-WAIT at {queue.where} rose from {before:,} to {now:,}: "
        "clients closed, and the program did not"
    )
    lasts_s = _lasts_s(now - before, snapshots.span_s, full)
    if full is None or lasts_s is None:
        return f"{text}."
    spare = plural(max(0, full.limit - full.fds), "spare descriptor lasts", "spare descriptors last")
    return f"{text}. At this rate its {spare} {lasts_s:,.0f} s."


def _lasts_s(risen: int, span_s: float, full: FullestProcess | None) -> float | None:
    """For how long the spare descriptors last, at the rate of that time."""
    if full is None or risen <= 0 or span_s <= 0:
        return None
    return max(0, full.limit - full.fds) * span_s / risen


def _unclosed(snapshot: Snapshot | None, port: int) -> int | None:
    """Accepted connections of a port whose client closed them, at least. None: not read."""
    states = None if snapshot is None else _states(snapshot, port)
    if snapshot is None or states is None or snapshot.listeners is None:
        return None
    waiting = sum(max(0, listener.depth) for listener in snapshot.listeners if listener.port == port)
    return max(0, states.get(_STATE, 0) - waiting)


def _states(snapshot: Snapshot, port: int) -> dict[str, int] | None:
    sockets = snapshot.server_sockets
    if sockets is not None and sockets.port == port:
        return sockets.states
    if snapshot.census is None:
        return None
    # The census keeps the fullest ports: one that is not among them has fewer than any of those.
    return next((counted.states for counted in snapshot.census.ports if counted.port == port), {})


def _took_all(unclosed: int, full: FullestProcess | None) -> bool:
    return full is not None and full.at_limit and unclosed * 2 >= full.limit


def _stand(unclosed: int) -> str:
    return plural(unclosed, "connection stands", "connections stand")


def _summary(unclosed: int, full: FullestProcess | None) -> str:
    whose = "the program" if full is None else full.who
    limit = 0 if full is None else full.limit
    return (
        f"{unclosed:,} of the {limit:,} descriptors of {whose} are connections that their client closed and it did not "
        "(CLOSE-WAIT): none is left for accept()."
    )


def _unclosed_evidence(unclosed: int, port: int | None) -> Evidence:
    text = f"{plural(unclosed, 'accepted connection')} of port {port} in CLOSE-WAIT: closed by the client alone"
    return measured("sock_diag", _STATE, unclosed, text)


def remedies(run: RunResult) -> list[Remedy]:
    """The missing close(), and what only puts it off."""
    port = facts.target_port(run) or "PORT"
    full = descriptors.fullest_server(run)
    size = 1024 if full is None else 4 * full.limit
    pid = "PID" if full is None else full.pid
    return [
        Remedy(
            command=f"ss -tnp state close-wait 'sport = :{port}'",
            works=True,
            changes=[changes.LOOK],
            why="Names the program, the clients, and by Recv-Q whether it ever read their end of file.",
        ),
        Remedy(
            command="close the connection when read returns end of file or an error, on every way out of the handler",
            works=True,
            changes=[changes.CLOSE],
            why="Only the program's close() ends CLOSE-WAIT. Until then a restart gives its descriptors back.",
        ),
        Remedy(
            command=f"prlimit --pid {pid} --nofile={size}:{size}",
            works=False,
            changes=[changes.nofile(size, "server")],
            why="Only delays it: the new descriptors fill in the same way.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_fin_timeout=10",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_fin_timeout", 10)],
            why="That is the time of FIN_WAIT2, at the client. CLOSE-WAIT has no time limit in the kernel.",
        ),
    ]


_NO_DESCRIPTOR = "connections that it never closes hold its descriptors"
CAUSE = Cause(
    id="close_wait_leak",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    specificity=3,
    explains={
        CauseKind.NO_ACCEPT: _NO_DESCRIPTOR,
        "syn_queue_overflow": _NO_DESCRIPTOR,
        CauseKind.ACCEPT_QUEUE: _NO_DESCRIPTOR,
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a program that never closes what its clients closed"),
)
