"""The CPU quota of the server's cgroup stops it again and again, and its clients wait meanwhile.

Source: `throttle_cfs_rq` (kernel/sched/fair.c): a cgroup that has used up its quota of a period (100 ms as a rule) runs
no more until the next begins, however idle the cores are. Its cpu.stat counts the periods (nr_throttled) and the time
(throttled_usec; throttled_time in v1), which is summed over the cores (Documentation/scheduler/sched-bwc.rst).
A thread that is ready to run and stopped so waits for a core as schedstat counts it (`sched_info_arrive`): that tells a
server that the quota holds back from one that had nothing to do while something else in its cgroup used it up.
"""

from __future__ import annotations

from estab.diagnose import facts, owners, unclosed
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import delay_text, wanted_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NotRebuilt, gravest
from estab.diagnose.evidence import listener_unseen, measured, unknown, worst_depth
from estab.diagnose.on_snapshots import Queue, Snapshots
from estab.diagnose.overflow import overflowed, overflowed_at
from estab.diagnose.owners import Owner, Throttling
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.records.failure import OF_CONNECTED
from estab.words import plural

THROTTLED = 0.1  # of the time, and of the periods: a tenth of all accepts come late by that alone
MAIN_REASON = 0.5  # of what its busiest thread waited: otherwise others on its cores kept it off


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where it was stopped for much of the time, and its queue overflowed or its answers came too late."""
    if facts.listener(run) is None:
        text = f"The server's cgroup was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    if overflowed(run) is False and not _late(run) and unclosed.for_want_of_cpu(run) is None:
        text = "The queue did not overflow, and no answer came too late."
        return Judgement("ruled_out", text, [measured("failures", "own_timeout", 0, "no connection timed out")])
    owner = _most_stopped(owners.of_run(run))
    if owner is None:
        return _unread("What CPU the server's cgroup allows it was not observed.")
    verdict, summary = _weigh(run, owner)
    return Judgement(verdict, summary, _evidence(run, owner))


def _most_stopped(owning: list[Owner]) -> Owner | None:
    """Of the processes that were seen at both times the one that its cgroup held back most. None: there is none.

    Of those in one cgroup it is the one that waited longest: a master process has nothing to do, its workers have.
    """
    seen = [owner for owner in owning if owner.throttling is not None or owner.ran is not None]
    return max(seen, key=lambda owner: (_stopped_s(owner), owner.busiest_waited or 0.0), default=None)


def _stopped_s(owner: Owner) -> float:
    return owner.throttling.stopped_s if owner.throttling is not None else 0.0


def _unread(text: str) -> Judgement:
    return Judgement("not_observed", text, [unknown("cpu.stat", "nr_throttled", "not read")])


def _weigh(run: RunResult, owner: Owner) -> tuple[Verdict, str]:
    told = _told(owner)
    if (innocent := _why_not(owner)) is not None:
        return "ruled_out", innocent
    spilled, late = overflowed(run), _late(run)
    if (piled_up := unclosed.for_want_of_cpu(run)) is not None:
        return "confirmed", f"{told}: {piled_up}."
    if spilled:
        return "confirmed", f"{told}: its queue overflowed meanwhile, and {_cost(run)}."
    if late and owner.out_of_time:
        return "confirmed", f"{told}: {plural(late, 'answer')} came too late."
    return "possible", f"{told}."


def _late(run: RunResult) -> int:
    """Answers that came too late, or never."""
    return facts.failed(run, OF_CONNECTED, facts.TIMEOUTS)


def _cost(run: RunResult) -> str:
    lost = failures(run)
    return f"{plural(lost, 'connection')} failed" if lost else "packets were turned away"


def _told(owner: Owner) -> str:
    """What the quota did to it, as a sentence without its stop."""
    stopped = owner.throttling
    if stopped is None:
        return f"No CPU quota holds for {owner.who}"
    periods = plural(stopped.periods, "period")
    return f"The CPU quota of its cgroup{_quota(stopped)} stopped {owner.who} in {stopped.stopped:,} of {periods}"


def _quota(stopped: Throttling) -> str:
    return "" if stopped.cores is None else f" ({stopped.cores:.3g} core{'' if stopped.cores == 1 else 's'})"


def _why_not(owner: Owner) -> str | None:
    """Why the quota did not hold this process back. None: it did."""
    stopped = owner.throttling
    if stopped is None or not stopped.stopped or owner.span_s <= 0:
        return f"{_told(owner)}."
    if owner.stopped:
        return f"{_told(owner)}, but it is stopped altogether (state T), and could run no more with any quota."
    share = min(1.0, stopped.stopped_s / owner.span_s)
    if share < THROTTLED or stopped.stopped < THROTTLED * stopped.periods:
        return f"{_told(owner)}, which is {share:.0%} of the time."
    waited = owner.busiest_waited
    if waited is not None and waited < THROTTLED:
        return f"{_told(owner)}, but it had next to nothing to do: it waited {waited:.0%} of the time for a core."
    if waited is not None and share < MAIN_REASON * waited and not stopped.mostly:
        return f"{_told(owner)}, but others kept it from its core for longer: it waited {waited:.0%} of the time."
    return None


def failures(run: RunResult) -> int:
    """What a full queue turned away, answers that came too late; and all that went unserved for want of descriptors."""
    if unclosed.for_want_of_cpu(run) is not None:
        return facts.unserved(run)
    return max(facts.turned_away_clients(run), facts.timeouts(run))


def _evidence(run: RunResult, owner: Owner) -> list[Evidence]:
    watch = facts.listener(run)
    return [*_of_owner(owner), *([worst_depth(watch)] if watch is not None else [])]


def _of_owner(owner: Owner) -> list[Evidence]:
    evidence = []
    if (stopped := owner.throttling) is not None:
        told = f"{plural(stopped.stopped, 'period')} of {stopped.periods:,} used up early{_quota(stopped)}"
        text = f"{told}, for {stopped.stopped_s:.1f} s in {owner.span_s:.1f} s, all cores together"
        source = f"{stopped.path}/cpu.stat"
        evidence.append(measured(source, "nr_throttled", stopped.stopped, text, THROTTLED * stopped.periods))
    if owner.busiest_ran is not None and owner.busiest_waited is not None:
        text = (
            f"the busiest thread of {owner.who} ran {owner.busiest_ran:.0%} of the time, and could have run and waited "
            f"for {owner.busiest_waited:.0%} of it"
        )
        evidence.append(
            measured("/proc/PID/task/TID/schedstat", "waited", round(owner.busiest_waited, 3), text, THROTTLED)
        )
    return evidence


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """How the owners of each queue fared between the two; confirmed where it overflows."""
    if snapshots.before is None:
        return _unread("How often a quota stops a server takes two snapshots.")
    judged = [
        _judge_queue(snapshots, queue, owner)
        for queue in snapshots.queues
        if (owner := _most_stopped(owners.of_listener(queue.then, queue.now, snapshots.span_s))) is not None
    ]
    if not judged:
        return _unread("No listener's owner was observed at both moments; try as root.")
    return gravest(judged)


def _judge_queue(snapshots: Snapshots, queue: Queue, owner: Owner) -> Judgement:
    evidence = [queue.evidence, *_of_owner(owner)]
    if (innocent := _why_not(owner)) is not None:
        return Judgement("ruled_out", innocent, evidence)
    about, told = snapshots.run(queue), _told(owner)
    if (piled_up := unclosed.for_want_of_cpu(about)) is not None:
        return Judgement("confirmed", f"{told}: {piled_up}.", evidence, about=about)
    if overflowed_at(snapshots, queue):
        text = f"{told}, and the queue of {queue.where} overflows: {queue.wait_and_fit}."
        return Judgement("confirmed", text, evidence, about=about)
    if queue.now.depth > 0 or owner.out_of_time:
        return Judgement("possible", f"{told}: what its clients ask waits for that.", evidence, about=about)
    return Judgement("ruled_out", f"{told}, and no connection waits for it.", evidence)


def remedies(run: RunResult) -> list[Remedy]:
    """A quota that is wide enough, or less to do within it; and what only lets more wait."""
    owner = _most_stopped(owners.of_run(run))
    stopped = owner.throttling if owner is not None else None
    path = stopped.path if stopped is not None else "CGROUP"
    cores = 2 * stopped.cores if stopped is not None and stopped.cores is not None else 2.0
    of_cgroup = changes.elsewhere("the CPU quota of a cgroup, which is the host's")
    watch = facts.listener(run)
    delay = None if watch is None else delay_text(run, watch.limit, wanted_backlog(run, watch))
    return [
        Remedy(
            command=f"cat {path}/cpu.stat; sleep 10; cat {path}/cpu.stat",
            works=True,
            changes=[changes.LOOK],
            why="nr_throttled against nr_periods of these 10 s: how often it was stopped.",
        ),
        Remedy(
            command=(
                f"CPUQuota={cores * 100:.0f}%   # [Service] of its unit; docker update --cpus {cores:.3g} NAME; "
                f"Kubernetes: resources.limits.cpu {cores * 1000:.0f}m, or none"
            ),
            works=True,
            changes=[of_cgroup],
            why="Counts at once. Requests (cpu.weight) share the cores without stopping anybody where some are idle.",
        ),
        Remedy(
            command=(
                "as many threads as the quota has cores: GOMAXPROCS, UV_THREADPOOL_SIZE, -XX:ActiveProcessorCount, "
                "worker_processes, --workers"
            ),
            works=True,
            changes=[changes.program("the number of its threads", "server")],
            why="Many threads use a period's quota up within milliseconds, and then all of them stand still together.",
        ),
        Remedy(
            command="a bigger backlog, sysctl -w net.core.somaxconn=65535",
            works=False,
            changes=[changes.queue()],
            why=f"Here {delay}." if delay is not None else "More connections wait for the same CPU.",
        ),
        Remedy(
            command="nice, renice, chrt; more threads or workers",
            works=False,
            changes=[of_cgroup],
            why="The quota is of the whole cgroup: a priority only orders those in it, and more of them use it sooner.",
        ),
    ]


_STOPPED = "the CPU quota of its cgroup stops the server"
CAUSE = Cause(
    id="server_cpu_quota",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    specificity=1,
    explains={
        "server_not_accepting": f"{_STOPPED}, so that it accepts nothing for long",
        "accept_thread_starved": f"what it waits for is the next period: {_STOPPED}",
        "server_accepts_too_slowly": _STOPPED,
        "syn_queue_overflow": _STOPPED,
        CauseKind.ACCEPT_QUEUE: _STOPPED,
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=NotRebuilt("a CPU quota is of a cgroup of the host's, and the lab makes none"),
)
