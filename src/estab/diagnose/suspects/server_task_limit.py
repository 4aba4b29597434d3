"""The server gets no more processes or threads: what it accepts and has none for waits, or is closed at once.

Source: `copy_process` (kernel/fork.c) gives EAGAIN where the user has as many tasks as RLIMIT_NPROC, `pids_can_fork`
(kernel/cgroup/pids.c) where a cgroup has pids.max of them. That one counts what it refuses (pids.events); nothing does
for RLIMIT_NPROC, so there the user's tasks are counted. A thread is a task as a process is.
"""

from __future__ import annotations

from estab.diagnose import facts, owners
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt, gravest
from estab.diagnose.evidence import listener_unseen, measured, unknown
from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.diagnose.owners import Owner
from estab.records import Evidence, Remedy, RunResult, Tasks, Verdict
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where it met such a limit, and connections waited for accept() or ended early."""
    if facts.listener(run) is None:
        text = f"The server's limits of processes and threads were not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    cost = _cost(run)
    if not cost and run.program is None:
        text = "No connection waited for accept() or failed."
        return Judgement("ruled_out", text, [measured("failures", "all", 0, "no connection failed")])
    owning = owners.of_run(run)
    if not any(_was_read(owner) for owner in owning):
        return _unread("How many processes and threads the server may have was not observed.")
    owner = _most_limited(owning)
    evidence = [_unlimited()] if owner is None else _evidence(owner)
    if owner is None or (told := _told(owner)) is None:
        text = "No process or thread was refused to the server, as far as its limits tell."
        return Judgement("ruled_out", text, evidence)
    if cost:
        return Judgement("confirmed", f"{told}: {cost}.", evidence)
    verdict: Verdict = "possible" if owner.refused else "ruled_out"
    return Judgement(verdict, f"{told}; what it closed for that its clients alone see.", evidence)


def _was_read(owner: Owner) -> bool:
    """Whether its limits were looked at; who has none has no `tasks`."""
    return owner.tasks is not None or owner.states is not None


def _most_limited(owning: list[Owner]) -> Owner | None:
    """Who met a limit, else whoever has one. None: nobody has."""
    limited = [owner for owner in owning if owner.tasks is not None]
    return max(limited, key=lambda owner: (bool(owner.refused), _user_is_full(owner.tasks)), default=None)


def _user_is_full(tasks: Tasks | None) -> bool:
    return tasks is not None and tasks.user_most is not None and (tasks.of_user or 0) >= tasks.user_most


def _told(owner: Owner) -> str | None:
    """Which limit it met, as a sentence without its stop. None: none."""
    tasks = owner.tasks
    if tasks is None:
        return None
    if owner.refused:
        times = plural(owner.refused, "process or thread was", "processes or threads were")
        return f"{times} refused to {owner.who}: its cgroup may have {tasks.cgroup_most or 0:,} (pids.max)"
    if _user_is_full(tasks):
        most = plural(tasks.user_most or 0, "process or thread", "processes and threads")
        return f"The user of {owner.who} has all {most} that RLIMIT_NPROC allows"
    return None


def _cost(run: RunResult) -> str:
    """What connections suffered meanwhile, in words; empty: nothing."""
    ended, waiting = facts.unserved(run), _waiting(run)
    if ended and waiting:
        return f"{plural(ended, 'connection')} failed, and {plural(waiting, 'waits', 'wait')} for accept()"
    if ended:
        return f"{plural(ended, 'connection')} timed out or ended early"
    return f"{plural(waiting, 'connection waits', 'connections wait')} for accept()" if waiting else ""


def _waiting(run: RunResult) -> int:
    watch = facts.listener(run)
    return 0 if watch is None else max(0, watch.last_depth, watch.queued_at_end or 0)


def failures(run: RunResult) -> int:
    """Connections that timed out, were reset or ended early."""
    return facts.unserved(run)


def _unread(text: str) -> Judgement:
    return Judgement("not_observed", text, [unknown("pids.max, RLIMIT_NPROC", "tasks", "not read")])


def _unlimited() -> Evidence:
    text = "no limit of processes and threads holds for who owns the listener"
    return measured("pids.max, RLIMIT_NPROC", "tasks", None, text, None)


def _evidence(owner: Owner) -> list[Evidence]:
    tasks, evidence = owner.tasks or Tasks(), []
    if tasks.cgroup_most is not None:
        used = "" if tasks.in_cgroup is None else f"{tasks.in_cgroup:,} of "
        text = (
            f"the cgroup of {owner.who} had {used}{plural(tasks.cgroup_most, 'process or thread', 'tasks')} (pids.max)"
        )
        evidence.append(measured(f"{tasks.cgroup}/pids.current", "tasks", tasks.in_cgroup, text, tasks.cgroup_most))
    if owner.refused is not None:
        text = f"pids.events: max rose by {owner.refused:,}: so many were refused"
        evidence.append(measured(f"{tasks.cgroup}/pids.events", "max", owner.refused, text))
    if tasks.user_most is not None:
        used = "far fewer than" if tasks.of_user is None else f"{tasks.of_user:,} of"
        text = f"the user of {owner.who} had {used} {tasks.user_most:,} processes and threads (RLIMIT_NPROC)"
        evidence.append(measured("/proc/PID/status", "tasks of its user", tasks.of_user, text, tasks.user_most))
    return evidence or [_unlimited()]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Something was refused between the two, or a user is at its limit; confirmed where connections wait for it."""
    judged = [
        _judge_queue(snapshots, queue, owner)
        for queue in snapshots.queues
        if (owner := _most_limited(owners.of_listener(queue.then, queue.now, snapshots.span_s))) is not None
    ]
    if judged:
        return gravest(judged)
    if any(owner.thread_states for queue in snapshots.queues for owner in queue.now.owners or ()):
        return Judgement("ruled_out", "No limit of processes and threads holds for a listener's owner.", [_unlimited()])
    return _unread("No listener's owner was observed; try as root.")


def _judge_queue(snapshots: Snapshots, queue: Queue, owner: Owner) -> Judgement:
    evidence = [queue.evidence, *_evidence(owner)]
    if (told := _told(owner)) is None:
        return Judgement("ruled_out", "No process or thread was refused to a server.", evidence)
    about = snapshots.run(queue)
    waited = queue.now.depth > 0 and queue.then is not None and queue.then.depth > 0
    if waited or queue.full:
        return Judgement("confirmed", f"{told}, and {queue.wait_and_fit} at {queue.where}.", evidence, about=about)
    if owner.refused:
        return Judgement("possible", f"{told}; nothing waits at {queue.where}.", evidence, about=about)
    return Judgement("ruled_out", f"{told}, and nothing waits at {queue.where}.", evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """The limit that was met, raised; and limits that were not."""
    owner = _most_limited(owners.of_run(run))
    tasks = (owner.tasks if owner is not None else None) or Tasks()
    by_user = owner is not None and not owner.refused and _user_is_full(tasks)
    pid = owner.pid if owner is not None else "PID"
    size = _wanted(run, tasks.user_most if by_user else tasks.cgroup_most)
    more = [changes.tasks(size)]
    raised = (
        [
            Remedy(
                command=f"prlimit --pid {pid} --nproc={size}:{size}",
                works=True,
                changes=more,
                why="Counts at once: RLIMIT_NPROC is asked at every fork. It is of all that its user runs.",
            ),
            Remedy(
                command=f"LimitNPROC={size}   # [Service] of its unit; then systemctl daemon-reload and restart",
                works=True,
                changes=more,
                why="Lasts. Docker: --ulimit nproc. /etc/security/limits.conf counts for logins alone.",
            ),
        ]
        if by_user
        else [
            Remedy(
                command=(
                    f"TasksMax={size}   # [Service] of its unit; docker update --pids-limit {size} NAME; "
                    "Kubernetes: podPidsLimit of the kubelet"
                ),
                works=True,
                changes=more,
                why=f"Counts at once: pids.max of {tasks.cgroup or 'its cgroup'} is asked at every fork.",
            )
        ]
    )
    return [
        *raised,
        Remedy(
            command="a bounded pool of threads, or a program that serves many connections by one thread",
            works=True,
            changes=[changes.program("how many tasks a connection takes", "server")],
            why="A process or thread for each connection needs as many as there are clients.",
        ),
        bigger_backlog("What waits is served by nobody, for who would serve it can't be started."),
        Remedy(
            command="ulimit -n, sysctl -w kernel.threads-max=1000000",
            works=False,
            changes=[changes.elsewhere("limits of the whole machine")],
            why="Descriptors are not what is lacking, and the host's limit was not met: this one is narrower.",
        ),
    ]


def _wanted(run: RunResult, limit: int | None) -> int:
    """A limit with room for a task for each connection: a power of two, twice the present at least."""
    together = facts.asked_connections(run) or run.funnel.attempted
    return max(512, 1 << max(0, together + 2 * (limit or 0) - 1).bit_length())


_NO_TASK = "no process or thread is left that could serve them"
CAUSE = Cause(
    id="server_task_limit",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    specificity=4,
    explains={
        "server_connection_limit": "it closes what it can start no process or thread for",
        "closed_with_data_unread": "it closes what it can start no process or thread for, whatever was sent by then",
        "server_not_accepting": _NO_TASK,
        "accept_thread_starved": _NO_TASK,
        "server_accepts_too_slowly": _NO_TASK,
        "reuseport_member_stuck": _NO_TASK,
        "syn_queue_overflow": _NO_TASK,
        CauseKind.ACCEPT_QUEUE: _NO_TASK,
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a program with a thread for each connection, and RLIMIT_NPROC"),
)
