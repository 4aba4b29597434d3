"""Clients closed, the program did not: its descriptors fill with connections in CLOSE-WAIT.

Source: `tcp_fin` (net/ipv4/tcp_input.c) moves a socket to CLOSE_WAIT at the client's FIN; only the program's close()
takes it further (`tcp_close_state`, net/ipv4/tcp.c). No timer of the kernel ends it, so each one that is forgotten
keeps its descriptor until the process ends, and at RLIMIT_NOFILE accept() fails.
What waits unaccepted is in CLOSE-WAIT as well once its client gave up: the depth of the queue is taken off.
"""

from __future__ import annotations

from estab.diagnose import descriptors, facts, unclosed
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.descriptors import FullestProcess
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.records import Evidence, Remedy, RunResult
from estab.words import plural

# Fewer are met wherever a program is slow to read: only more of them than that, and rising, are a suspicion.
_FEW = 20
# Of what a run opened and its clients closed again, so much is still open: nothing was closed, or next to nothing.
_NEARLY_ALL = 0.9


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where half of the descriptors of a process without a spare one are such connections."""
    port = facts.target_port(run)
    left = None if port is None else _left_by_run(run, port)
    full = descriptors.fullest_server(run)
    if left is None:
        if full is not None and not full.at_limit:
            return Judgement("ruled_out", "The server had descriptors to spare.", descriptors.evidence(full))
        text = f"Whether the server closes what its clients closed was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [unknown("sock_diag", unclosed.STATE, text)])
    evidence = [_unclosed_evidence(left, port), *descriptors.evidence(full)]
    if (piled_up := unclosed.for_want_of_cpu(run)) is not None:
        return Judgement("ruled_out", f"It closes what its clients closed, if late: {piled_up}.", evidence)
    if _took_all(left, full):
        return Judgement("confirmed", _summary(left, full), evidence)
    opened = run.funnel.connected
    if run.command == "churn" and left > _FEW and left >= opened * _NEARLY_ALL:
        text = f"Of {plural(opened, 'connection')} that the clients closed, the server had not closed {left:,}."
        return Judgement("possible", text, evidence)
    return Judgement("ruled_out", f"{_stand(left)} open that the client had closed.", evidence)


def failures(run: RunResult) -> int:
    """As for any server without a descriptor: what timed out, was reset or ended early."""
    return facts.unserved(run)


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Where they filled a process it is confirmed; where they rose between the two it is possible."""
    counted = ((queue, unclosed.at_port(snapshots.after, queue.now.port)) for queue in snapshots.queues)
    read = [(queue, left) for queue, left in counted if left is not None]
    if not read:
        text = "The listeners or the sockets of their ports were not observed."
        return Judgement("not_observed", text, [unknown("sock_diag", unclosed.STATE, text)])
    queue, left = max(read, key=lambda pair: pair[1])
    about = snapshots.run(queue)
    full = descriptors.fullest_server(about)
    evidence = [_unclosed_evidence(left, queue.now.port), *descriptors.evidence(full)]
    if (piled_up := unclosed.for_want_of_cpu(about)) is not None:
        return Judgement("ruled_out", f"It closes what its clients closed, if late: {piled_up}.", evidence)
    if _took_all(left, full):
        return Judgement("confirmed", _summary(left, full), evidence, about=about)
    before = None if snapshots.before is None else unclosed.at_port(snapshots.before, queue.now.port)
    if before is None and left > _FEW:
        text = f"{_stand(left)} in CLOSE-WAIT at {queue.where}; whether they rise shows in a second snapshot."
        return Judgement("not_observed", text, evidence)
    if before is None or left <= max(_FEW, before):
        text = f"{_stand(left)} in CLOSE-WAIT at {queue.where}, no more than before."
        return Judgement("ruled_out", text, evidence)
    return Judgement("possible", _rising(snapshots, queue, (before, left), full), evidence, about=about)


def _left_by_run(run: RunResult, port: int) -> int | None:
    """What was left open of what clients had closed. None: not read.

    Only churn closes on the way. What other loads close at their end a server may be about to close, so of these only
    what was there before them counts.
    """
    after = unclosed.at_port(run.server.after, port)
    if after is None or run.command == "churn":
        return after
    return min(after, unclosed.at_port(run.server.before, port) or 0)


def _rising(snapshots: Snapshots, queue: Queue, left: tuple[int, int], full: FullestProcess | None) -> str:
    before, now = left
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


def _took_all(left: int, full: FullestProcess | None) -> bool:
    return full is not None and full.at_limit and left * 2 >= full.limit


def _stand(left: int) -> str:
    return plural(left, "connection stands", "connections stand")


def _summary(left: int, full: FullestProcess | None) -> str:
    whose = "the program" if full is None else full.who
    limit = 0 if full is None else full.limit
    return (
        f"{left:,} of the {limit:,} descriptors of {whose} are connections that their client closed and it did not "
        "(CLOSE-WAIT): none is left for accept()."
    )


def _unclosed_evidence(left: int, port: int | None) -> Evidence:
    text = f"{plural(left, 'accepted connection')} of port {port} in CLOSE-WAIT: closed by the client alone"
    return measured("sock_diag", unclosed.STATE, left, text)


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
