"""The server listens but calls accept() no more: its queue only rises.

Source: a connection waits in the accept queue, with inode 0 in sock_diag, until `inet_csk_accept`
(net/ipv4/inet_connection_sock.c) takes it. The client knows nothing of that: it is ESTABLISHED and may write.
Judged before accept_queue_overflow: a queue that nobody empties overflows as well, whatever its length.
"""

from __future__ import annotations

from estab.diagnose import accepts, facts, owners, sent
from estab.diagnose.accepts import Stopped
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import too_many_at_once, wanted_backlog
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt, gravest
from estab.diagnose.evidence import SNMP, listener_unseen, measured, unknown, worst_depth
from estab.diagnose.on_snapshots import LISTENERS_UNSEEN, Queue, Snapshots
from estab.diagnose.overflow import overflowed
from estab.kernel.formats.endpoint import UNIX
from estab.records import Evidence, ListenerWatch, Remedy, RunResult, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where connections waited to the end and none was accepted for longer than a pause of this program's."""
    watch = facts.listener(run)
    if watch is None:
        return _unseen(run)
    stopped = _stopped(run)
    verdict, summary = _weigh(run, watch, stopped)
    evidence = _evidence(run, watch)
    if stopped is not None:
        evidence.append(_stopped_evidence(stopped))
    return Judgement(verdict, summary, [*evidence, *_owner_evidence(run)])


def _stopped(run: RunResult) -> Stopped | None:
    """While the load stood, or until the last look: a server at a limit of its own accepts again after the load."""
    alone = run.server.embedded or accepts.alone(run)  # our own server says itself what it accepted
    looks = (accepts.while_open(run), accepts.of_run(run))
    found = [accepts.stopped(moments, alone=alone, kept=run.command == "hold") for moments in looks]
    return next((stopped for stopped in found if stopped is not None and stopped.for_long), found[-1])


def _weigh(run: RunResult, watch: ListenerWatch, stopped: Stopped | None) -> tuple[Verdict, str]:
    if max(watch.worst_depth, watch.queued_at_end or 0) <= 0:
        return "ruled_out", "No connection was seen waiting."
    if stopped is None and (told := _at_one_look(run)) is not None:
        return "possible", told
    if stopped is None:
        return "ruled_out", "Connections were accepted to the end."
    if stopped.span_s < accepts.STOPPED_S and facts.accepted(run):
        return "ruled_out", f"Connections were accepted until {stopped.span_s:.1f} s before the end."
    return _weigh_silence(run, stopped)


def _at_one_look(run: RunResult) -> str | None:
    """That something waited at the first look while the load stood, nothing later, and as much failed. None: not so.

    A later look may come as the load closes: what failed was not accepted in between.
    """
    waited = [look.queue_depth or 0 for look in run.server.looks if look.load_open]
    if not waited or any(waited[1:]) or not 0 < waited[0] <= facts.turned_away_clients(run):
        return None
    waiting = plural(waited[0], "connection")
    which = "the only look" if len(waited) == 1 else "the first look"
    return f"{waiting} waited for accept() at {which} while the load stood, and as many failed: a longer run tells."


def _weigh_silence(run: RunResult, stopped: Stopped) -> tuple[Verdict, str]:
    waiting = plural(stopped.waiting, "connection")
    told = f"nothing was accepted for the last {stopped.span_s:.1f} s, and {waiting} waited"
    left_open: Verdict = "possible" if _suffered(run) else "not_observed"
    if not stopped.for_long:
        return left_open, f"{told.capitalize()}: too short to tell from a pause (a longer run would tell)."
    if not stopped.sure:
        others = "others were connected to in its network namespace"
        return left_open, f"{told.capitalize()}, as far as its queue shows; {others}."
    lost, its_own = facts.turned_away_clients(run), failures(run)
    if its_own * 2 < lost and overflowed(run):
        return "possible", (
            f"{told.capitalize()}, in a queue with room left: it can be the cause of {its_own:,} of the "
            f"{plural(lost, 'failure')} at most. The others were turned away before that."
        )
    return "confirmed", _summary(run, told)


def _summary(run: RunResult, told: str) -> str:
    taken = facts.accepted(run)
    before = "The server accepted nothing at all: " if taken == 0 else "The server stopped accepting: "
    if taken:
        before = f"The server accepted {plural(taken, 'connection')} and then no more: "
    state = _state(run)
    return f"{before}{told}{'' if state is None else f'. {state}'}."


def _suffered(run: RunResult) -> bool:
    """Did any client meet a failure, or hold a connection that the server does not have?"""
    return bool(run.client_failures or (run.ghosts is not None and run.ghosts.count))


def _state(run: RunResult) -> str | None:
    """What its processes did meanwhile, as a sentence without its stop. None: nothing that explains it was seen."""
    for owner in owners.of_run(run):
        who = owner.who
        if owner.stopped:
            return f"{who} is stopped (state T)"
        if (owner.states or {}).get("D"):
            return f"{who} has a thread in uninterruptible sleep (state D)"
    if any(looks.looks and looks.stopped for looks in owners.along(run)):
        return "Its process was stopped (state T)"
    free = [owner for owner in owners.of_run(run) if owner.fds is not None and owner.nofile is not None]
    if free and facts.accepted(run) and all((owner.fds or 0) < (owner.nofile or 0) for owner in free):
        return "It had descriptors left: a limit of its own (workers, a pool, a maximum of connections) looks like this"
    return None


def failures(run: RunResult) -> int:
    """As for any overflow of the queue: what was accepted and then ended early is not its doing.

    Where the queue has room while the server stands still, and had been emptied before, what was turned away was so
    before that: then no more than waits in it.
    """
    watch, stopped, lost = facts.listener(run), _stopped(run), facts.turned_away_clients(run)
    if watch is None or stopped is None:
        return lost
    emptied_before = (facts.accepted(run) or 0) >= facts.room(watch)
    return min(lost, stopped.deepest) if emptied_before and stopped.deepest < facts.room(watch) else lost


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
    if (elsewhere := sent.turned_back(run)) is not None:
        return Judgement("ruled_out", elsewhere, [unseen, answered])
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


def _stopped_evidence(stopped: Stopped) -> Evidence:
    text = f"no accept() for the last {stopped.span_s:.1f} s with connections waiting"
    if stopped.pause_s:
        text += f"; its longest pause before was {stopped.pause_s:.1f} s"
    return measured("queue depth, PassiveOpens", "accepted", stopped.span_s, text, accepts.STOPPED_S)


def _owner_evidence(run: RunResult) -> list[Evidence]:
    told = []
    for owner in owners.of_run(run):
        states = ", ".join(f"{count} {state}" for state, count in sorted((owner.states or {}).items()))
        if states:
            text = f"threads of {owner.who} by state: {states}"
            told.append(measured("/proc/PID/task/TID/stat", "state", states, text, None))
    return told


def remedies(run: RunResult) -> list[Remedy]:
    """What works, then what does nothing."""
    path = facts.unix_target(run)
    shown = (
        f"-ltn 'sport = :{facts.target_port(run) or 'PORT'}'" if path is None else f"-lx src {path.removeprefix(UNIX)}"
    )
    pid = next((str(process.pid) for process in run.server.processes or []), "PID")
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
            command=f'watch -n1 "ss {shown}"',
            works=True,
            changes=[changes.LOOK],
            why="Recv-Q falls once this is fixed.",
        ),
        bigger_backlog("More connections would wait for an accept() that never comes."),
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
    """Something waited at both, and the counters, or who owns the queue, show that nothing was accepted in between."""
    if snapshots.after.listeners is None:
        return Judgement("not_observed", LISTENERS_UNSEEN, [unknown("sock_diag", "-", "listeners were not read")])
    waiting = [queue for queue in snapshots.queues if queue.now.depth > 0]
    if not waiting:
        evidence = [queue.evidence for queue in snapshots.queues[:1]]
        none = measured("sock_diag", "listeners", len(snapshots.queues), "nothing waits", None)
        return Judgement("ruled_out", "No connection waits to be accepted now.", evidence or [none])
    judged = [_judge_queue(snapshots, queue) for queue in waiting]
    return gravest(judged)


def _judge_queue(snapshots: Snapshots, queue: Queue) -> Judgement:
    evidence, now = [queue.evidence], queue.now.depth
    before, then = snapshots.before, queue.then
    if before is None or then is None:
        text = f"{now:,} wait at {queue.where} now; whether they are accepted shows in a second snapshot."
        return Judgement("not_observed", text, evidence)
    if not 0 < then.depth <= now:
        return Judgement("ruled_out", f"The queue of {queue.where} was empty before, or fell.", evidence)
    about, span_s = snapshots.run(queue), snapshots.span_s
    told = f"{then.depth:,} waited at {queue.where} and {now:,} wait {span_s:,.1f} s later"
    why = _why_nothing(snapshots, queue, now - then.depth) if span_s >= accepts.STOPPED_S else None
    if why is not None:
        return Judgement("confirmed", f"Nothing is accepted: {told}, {why[0]}.", [*evidence, why[1]], about=about)
    opened = snapshots.rose(accepts.PASSIVE_OPENS)
    accepted = None if opened is None else max(0, opened - (now - then.depth))
    more = "" if not accepted else f", while up to {accepted:,} were accepted in this namespace"
    if accepted and len(snapshots.queues) == 1 and accepts.alone_at((before, snapshots.after), queue.now.port):
        text = f"{told}, and {accepted:,} were accepted meanwhile: nothing else listens here."
        return Judgement("ruled_out", text, evidence)
    return Judgement("possible", f"{told}{more}.", evidence, about=about)


def _why_nothing(snapshots: Snapshots, queue: Queue, joined: int) -> tuple[str, Evidence] | None:
    """What shows that nothing was accepted of a queue that `joined` joined, in words. None: something may have been."""
    opened = snapshots.rose(accepts.PASSIVE_OPENS)
    if opened is not None and opened <= joined:
        text = f"PassiveOpens rose by {opened:,}: all of them wait"
        return "and none was accepted meanwhile", measured(SNMP, accepts.PASSIVE_OPENS, opened, text)
    owning = owners.of_listener(queue.then, queue.now, snapshots.span_s)
    if owning and all(owner.slept for owner in owning):
        who = f"pid {', '.join(str(owner.pid) for owner in owning)}"
        text = f"no thread of {who} ran in {snapshots.span_s:,.1f} s, though connections waited"
        return f"and who owns it did not run ({who})", measured("/proc/PID/task/TID/schedstat", "ran_ns", 0, text)
    return None


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
    over_unix=True,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that never accepts, or stops when the record's did"),
)
