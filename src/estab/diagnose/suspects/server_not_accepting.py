"""The server listens but calls accept() no more: its queue only rises.

Source: a connection waits in the accept queue, with inode 0 in sock_diag, until `inet_csk_accept`
(net/ipv4/inet_connection_sock.c) takes it. The client knows nothing of that: it is ESTABLISHED and may write.
Judged before accept_queue_overflow: a queue that nobody empties overflows as well, whatever its length.
"""

from __future__ import annotations

from itertools import pairwise

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import too_many_at_once, wanted_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import listener_unseen, measured, unknown, worst_depth
from estab.diagnose.on_snapshots import LISTENERS_UNSEEN, Snapshots
from estab.records import Evidence, ListenerWatch, Remedy, RunResult, TimelinePoint, Verdict
from estab.words import plural

# A server that accepted and then stopped: the silence has to last this long, and so many times its longest pause.
SILENCE_S = 1.0
SILENCE_OF_PAUSE = 3.0


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where connections waited, the queue never fell, and nothing was accepted (any more)."""
    watch = facts.listener(run)
    if watch is None:
        return _unseen(run)
    silence = _silence(run.timeline)
    verdict, summary = _weigh(run, watch, silence)
    evidence = _evidence(run, watch)
    if silence is not None:
        evidence.append(_silent_evidence(silence))
    return Judgement(verdict, summary, evidence)


def _weigh(run: RunResult, watch: ListenerWatch, silence: float | None) -> tuple[Verdict, str]:
    taken = facts.accepted(run)
    if max(watch.worst_depth, watch.queued_at_end or 0) <= 0:
        return "ruled_out", "No connection was seen waiting."
    if silence is not None:
        return "confirmed", f"The server accepted nothing for the last {silence:.1f} s while connections waited."
    if not watch.rose_only:
        return "ruled_out", "The queue fell as well as rose."
    if taken is None:
        text = "The queue never fell, but whether anything was accepted was not observed."
        return ("possible" if facts.was_full(watch) else "not_observed"), text
    if taken > 0:
        return "ruled_out", f"The server accepted {plural(taken, 'connection')}."
    waiting = max(watch.worst_depth, watch.queued_at_end or 0)
    return (
        "confirmed",
        f"The server accepted none of the {plural(waiting, 'connection')} that waited: its queue only rose.",
    )


def failures(run: RunResult) -> int:
    """Connections that timed out, were reset or ended early."""
    return facts.unserved(run)


def _silence(timeline: list[TimelinePoint]) -> float | None:
    """Seconds at the end in which connections waited and `accepted` stood still; None where it was not silent."""
    points = [p for p in timeline if p.accepted is not None and p.queue_depth is not None]
    if not points or not points[-1].queue_depth:
        return None
    steps = [later.t_s for earlier, later in pairwise(points) if (later.accepted or 0) > (earlier.accepted or 0)]
    # The last sample that no waiting connection was seen in: before it there was nothing to accept.
    idle = max((p.t_s for p in points if not p.queue_depth), default=points[0].t_s)
    silence = points[-1].t_s - max([idle, *steps[-1:]])
    pause = max((later - earlier for earlier, later in pairwise(steps)), default=0.0)
    return silence if silence >= SILENCE_S and silence > SILENCE_OF_PAUSE * pause else None


def _unseen(run: RunResult) -> Judgement:
    """From the client alone: an answer proves an accept; silence proves nothing."""
    why = facts.why_unseen(run)
    unseen = listener_unseen(run)
    answered = measured(
        "funnel",
        "first_byte",
        run.funnel.first_byte,
        f"{run.funnel.first_byte:,} of {plural(run.funnel.connected, 'connection was', 'connections were')} answered",
        run.funnel.connected,
    )
    if run.funnel.connected and run.funnel.first_byte >= run.funnel.connected:
        return Judgement("ruled_out", "Every connection was answered, so each was accepted.", [answered])
    if facts.timeouts(run):
        text = f"A server that accepts nothing would look like this, but its queue was not observed ({why})."
        return Judgement("possible", text, [unseen, answered])
    return Judgement("not_observed", f"Whether the server accepts was not observed ({why}).", [unseen])


def _evidence(run: RunResult, watch: ListenerWatch) -> list[Evidence]:
    moved = "never fell" if watch.rose_only else "rose and fell"
    evidence = [worst_depth(watch, f"; its depth {moved}")]
    taken = facts.accepted(run)
    text = "how many were accepted was not observed" if taken is None else f"the server accepted {taken:,}"
    evidence.append(measured("sock_diag", "accepted", taken, text))
    if watch.queued_at_end is not None:
        text = f"{watch.queued_at_end:,} still waited when every connect had been settled (inode 0: not accepted)"
        evidence.append(measured("sock_diag", "queued_at_end", watch.queued_at_end, text))
    text = f"the client had {plural(run.funnel.connected, 'connection')} ESTABLISHED"
    evidence.append(measured("funnel", "connected", run.funnel.connected, text, None))
    return evidence


def _silent_evidence(silence: float) -> Evidence:
    text = f"accepted stood still for the last {silence:.1f} s of the run, with connections waiting"
    return measured("timeline", "accepted", silence, text, SILENCE_S)


def remedies(run: RunResult) -> list[Remedy]:
    """What works, then what does nothing."""
    port = facts.target_port(run) or "PORT"
    pid = next((str(p.pid) for p in run.server.processes or []), "PID")
    return [
        Remedy(
            command=f"timeout 5 strace -f -e trace=accept,accept4 -p {pid}",
            works=True,
            changes=[changes.LOOK],
            why="Shows whether any thread calls accept(). If not, the accepting one is blocked, starved or gone.",
        ),
        Remedy(
            command=f"py-spy dump --pid {pid}   # jstack {pid}; kill -QUIT {pid} (Go); gdb -p {pid}",
            works=True,
            changes=[changes.LOOK],
            why="Shows where that thread stands, and so what keeps it from accept().",
        ),
        _accept_again(run),
        Remedy(
            command=f"watch -n1 \"ss -ltn 'sport = :{port}'\"",
            works=True,
            changes=[changes.LOOK],
            why="Recv-Q must fall once it is mended.",
        ),
        Remedy(
            command="a bigger backlog, sysctl -w net.core.somaxconn=65535",
            works=False,
            changes=[changes.queue()],
            why="More connections would wait for an accept() that never comes.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_max_syn_backlog=65536",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_max_syn_backlog", 65536)],
            why="Nobody accepts; the SYN queue has nothing to do with it.",
        ),
    ]


def _accept_again(run: RunResult) -> Remedy:
    """The remedy itself; and a queue for what comes at once, where the present one has no room for it."""
    watch = facts.listener(run)
    command = "call accept() again, in a thread that does nothing else and that no other work can block"
    together = too_many_at_once(run, watch)
    if together is None or watch is None:
        why = "What waits is then served, in the order in which it came."
        return Remedy(command=command, works=True, changes=[changes.ACCEPT], why=why)
    size = wanted_backlog(run, watch)
    return Remedy(
        command=f"{command}; together with a backlog of {size}",
        works=True,
        changes=[changes.ACCEPT, changes.queue(size)],
        why=(
            f"What waits is then served; {plural(together, 'connect comes', 'connects come')} "
            f"at once, and {plural(facts.room(watch), 'fits', 'fit')}."
        ),
    )


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """A queue that did not fall between two snapshots, though something waited at both."""
    if snapshots.after.listeners is None:
        return Judgement("not_observed", LISTENERS_UNSEEN, [unknown("sock_diag", "-", "listeners were not read")])
    queue = next((queue for queue in snapshots.queues if queue.now.depth > 0), None)
    if queue is None:
        evidence = [queue.evidence for queue in snapshots.queues[:1]]
        none = measured("sock_diag", "listeners", len(snapshots.queues), "nothing waits", None)
        return Judgement("ruled_out", "No connection waits to be accepted now.", evidence or [none])
    evidence, now = [queue.evidence], queue.now.depth
    if queue.then is None:
        text = f"{now:,} wait at {queue.where} now; whether they are accepted shows in a second snapshot."
        return Judgement("not_observed", text, evidence)
    if 0 < queue.then.depth <= now:
        text = f"{queue.then.depth:,} waited at {queue.where} and {now:,} wait {snapshots.span_s:,.1f} s later."
        return Judgement("possible", text, evidence, about=snapshots.run(queue))
    return Judgement("ruled_out", f"The queue of {queue.where} was empty before, or fell.", evidence)


_NOBODY_EMPTIES = "a queue that nobody empties overflows whatever its length"
_NOTHING_MORE = "it accepts nothing at all (any more)"
CAUSE = Cause(
    id="server_not_accepting",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    specificity=1,
    explains={
        CauseKind.NO_ACCEPT: _NOTHING_MORE,
        "defer_accept_drops": _NOTHING_MORE,
        "syn_queue_overflow": _NOBODY_EMPTIES,
        CauseKind.ACCEPT_QUEUE: _NOBODY_EMPTIES,
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that never accepts, or stops when the record's did"),
)
