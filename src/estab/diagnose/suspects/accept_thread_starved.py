"""The server still accepts, but its CPU goes elsewhere: the accepting thread gets its turn too seldom.

Source: no kernel limit but the scheduler: accept() takes microseconds, and a thread that shares its cores (or its
interpreter lock, or its event loop) with much work waits for its turn while the queue fills. It differs from a server
that accepts nothing (there the queue never falls), and from a queue that is only short (there the CPU is idle, or it is
spent on accepting: some ten microseconds a connection).
"""

from __future__ import annotations

import math

from estab.diagnose import accepts, facts, owners
from estab.diagnose.advice import changes
from estab.diagnose.advice.backlog import delay_text, too_many_at_once, wanted_backlog
from estab.diagnose.advice.futile import does_nothing
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import listener_unseen, measured, unknown, worst_depth
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.overflow import overflowed, overflowed_at
from estab.diagnose.owners import Owner
from estab.diagnose.rates import queue_rates
from estab.records import Evidence, ListenerWatch, Remedy, RunResult, Verdict
from estab.words import plural

BUSY = 0.9  # of all cores: nobody gets a turn at once
LATE = 3.0  # times as long as it ran: it gets no turn when it wakes. One that is merely busy waits about as it runs.
KEPT_WAITING = 0.4  # of the time in which connections waited: much of it then for lack of a core
PAUSE_S = 0.08  # from a sample to the next: that long without an accept is a pause of its own
COST_S = 0.001  # of CPU for each connection that came: a hundred accepts' worth, so it went elsewhere
# Programs that run on one core at a time, whatever the host has: an interpreter lock, one event loop.
ONE_CORE = ("node", "python", "ruby", "redis", "estab")


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the queue overflowed while accepts went on, and the CPU was used up on something else."""
    verdict, summary = _weigh(run, facts.listener(run))
    return Judgement(verdict, summary, _evidence(run))


def failures(run: RunResult) -> int:
    """As for any overflow of the queue."""
    return facts.turned_away_clients(run)


def _weigh(run: RunResult, watch: ListenerWatch | None) -> tuple[Verdict, str]:
    if watch is None:
        return "not_observed", f"The server's queue and CPU were not observed ({facts.why_unseen(run)})."
    if (innocent := _why_not(run, watch)) is not None:
        return "ruled_out", innocent
    told = _held_back(run)
    verdict, summary = _weigh_cores(run) if told is None else _starved(told, overflowed(run))
    if verdict == "confirmed" and (together := _fills_alone(run, watch)) is not None:
        came = f"{plural(together, 'connect came', 'connects came')} at once to {plural(facts.room(watch), 'place')}"
        return "possible", f"{summary} But {came}: they fill the queue before any accept()."
    return verdict, summary


def _starved(told: str, queue_overflowed: bool | None) -> tuple[Verdict, str]:
    return ("confirmed" if queue_overflowed else "possible"), f"The accepting thread was starved: {told}."


def _fills_alone(run: RunResult, watch: ListenerWatch) -> int | None:
    """The size of a load's one burst that fills the queue however soon it is accepted. None: it fits, or more follows.

    Nothing follows it: a queue that holds it would have lost none, starved or not.
    """
    together = too_many_at_once(run, watch) if run.command == "hold" else None
    return together if together is not None and together == facts.asked_connections(run) else None


def _held_back(run: RunResult) -> str | None:
    """How others on its core kept an owner of the listener from running, in words. None: nobody did."""
    owning, waits = owners.of_run(run), accepts.waits(run)
    return next((told for owner in owning if (told := _kept_off(owner, waits) or _late_each_time(owner, waits))), None)


def _kept_off(owner: Owner, waits: tuple[float, float] | None = None) -> str | None:
    """That others had its core for a good part of its time. None: not so, or it slept of itself for longer.

    `waits`: as `accepts.waits` tells; None: connections may have waited all the time.
    """
    ran, waited = owner.busiest_ran, owner.busiest_waited
    if ran is None or waited is None or waited < max(owners.WAITED, ran) or waited * owner.span_s < owners.SURE_S:
        return None
    slept_s = (owner.span_s if waits is None else waits[0]) - (ran + waited) * owner.span_s
    if waited * owner.span_s < slept_s:
        return None
    return f"{owner.who} ran {ran:.0%} of the time and waited {waited:.0%} of it for a core that others had"


def _late_each_time(owner: Owner, waits: tuple[float, float] | None) -> str | None:
    """That it had seldom work, and waited for a core while it had: much of what connections waited. None: not so."""
    ran, waited = owner.busiest_ran, owner.busiest_waited
    if ran is None or waited is None or waits is None or waited < LATE * ran:
        return None
    waited_s = waited * owner.span_s
    if waited_s < owners.SURE_S:
        return None
    # What waited for less than a pause was not seen to wait: no part of that can be told.
    if waits[0] < PAUSE_S or waits[1] >= PAUSE_S or waited_s < KEPT_WAITING * waits[0]:
        return None
    return (
        f"{owner.who} waited {waited_s * 1000:,.0f} ms for a core that others had "
        f"and ran {ran * owner.span_s * 1000:,.0f} ms, and connections waited for {waits[0]:.1f} s in all"
    )


def _weigh_cores(run: RunResult) -> tuple[Verdict, str]:
    cores, full = facts.server_cores(run), capacity(run)
    cost = cost_s(run)
    if cores is None or full is None or cost is None:
        return "not_observed", "The server's use of CPU was not observed."
    told = f"the server used {cores:.1f} cores"
    # A thread can use one core: one that runs all the time is at its limit, however many cores are idle.
    one_core = _most_taken(run) >= BUSY
    if not one_core and (cores < BUSY * min(1.0, full) or busy_share(run) < BUSY):
        return "ruled_out", _too_little(run) or f"The queue overflowed with CPU to spare: {told}, of {full:g}."
    if cost < COST_S:
        return "ruled_out", f"The CPU went into accepting: {cost * 1e6:,.0f} µs for each connection."
    told += f", {cost * 1e3:,.1f} ms for each connection, while others waited"
    return _starved(told, overflowed(run))


def _too_little(run: RunResult) -> str | None:
    """That an owner waited for a core, but not as `_kept_off` asks, as a sentence. None: it had a core, or soon."""
    for owner in owners.of_run(run):
        waited = owner.busiest_waited
        if waited is not None and waited >= owners.WAITED:
            return (
                f"{owner.who} waited {waited:.0%} of the time for a core: for less than half a second in all, "
                "or less than it ran, or less than it slept while connections waited."
            )
    return None


def _most_taken(run: RunResult) -> float:
    """The greatest part of the time in which an owner's busiest thread ran, or would have, while connections waited."""
    return max((owners.taken_while_waiting(run, owner) or 0.0 for owner in owners.of_run(run)), default=0.0)


def _why_not(run: RunResult, watch: ListenerWatch) -> str | None:
    if overflowed(run) is False:
        return "The queue did not overflow: accept() came in time."
    if watch.worst_depth <= 0:
        return "No connection was seen waiting."
    return "Nothing was accepted at all." if facts.accepted(run) == 0 else None


def capacity(run: RunResult) -> float | None:
    """How many cores the server can use: one for a program that runs on one at a time. None: not known."""
    names = {(p.name or "").lower() for p in run.server.processes or []}
    if run.server.embedded:
        return float(max(1, len(facts.workers(run, "server"))))
    if len(names) == 1 and any(next(iter(names)).startswith(program) for program in ONE_CORE):
        return float(len(run.server.processes or []))
    cores = (run.server.before.host.cores if run.server.before else None) or None
    return None if cores is None or cores < 1 else float(cores)


def busy_share(run: RunResult) -> float:
    """The share of its capacity that the server had in use, a client on the same host counted in: 0 and up."""
    full, cores = capacity(run), facts.server_cores(run)
    if full is None or cores is None:
        return 0.0
    return max(cores, min(cores + _client_cores(run), full) if cores >= full / 2 else cores) / full


def _client_cores(run: RunResult) -> float:
    """Cores that our own client workers used on the server's host."""
    if run.server.via is not None or run.elapsed_s <= 0 or not math.isfinite(run.elapsed_s):
        return 0.0
    used = [w.cpu_s for w in facts.workers(run, "client") if w.cpu_s is not None and math.isfinite(w.cpu_s)]
    return max(0.0, sum(used)) / run.elapsed_s


def cost_s(run: RunResult) -> float | None:
    """CPU seconds that the server spent for each connection that came to it. None: its CPU was not read."""
    cores = facts.server_cores(run)
    if cores is None or not math.isfinite(run.elapsed_s):
        return None
    return cores * max(0.0, run.elapsed_s) / max(1, run.funnel.connected, facts.accepted(run) or 0)


# Evidence ----------------------------------------------------------------------------------------------------------


def _waited_for_a_core(owner: Owner) -> Evidence:
    ran_s, waited_s = (share * owner.span_s for share in (owner.busiest_ran or 0.0, owner.busiest_waited or 0.0))
    text = f"the busiest thread of {owner.who} ran for {ran_s:.2f} s and waited {waited_s:.2f} s for a core"
    return measured("/proc/PID/task/TID/schedstat", "waited_s", waited_s, text, LATE * ran_s)


def _evidence(run: RunResult) -> list[Evidence]:
    watch = facts.listener(run)
    if watch is None:
        return [listener_unseen(run)]
    evidence = [worst_depth(watch)]
    cores, full, cost = facts.server_cores(run), capacity(run), cost_s(run)
    if cores is None:
        return [*evidence, unknown("/proc/PID/stat", "cpu_s", "the server's CPU was not observed")]
    of = "" if full is None else f" of the {full:g} that it can use"
    text = f"the server's processes used {cores:.2f} cores{of}"
    evidence.append(measured("/proc/PID/stat", "cpu_s", cores, text, None if full is None else BUSY * full))
    evidence.extend(_waited_for_a_core(owner) for owner in owners.of_run(run) if owner.busiest_waited)
    if cost is not None:
        text = f"that is {cost * 1e3:,.2f} ms of CPU for each connection; accept() alone takes about 0.01"
        evidence.append(measured("/proc/PID/stat", "cpu_s / connection", cost, text, COST_S))
    rates = queue_rates(run)
    if rates is not None:
        text = (
            f"with connections waiting, {rates.accepts_per_s:,.0f}/s were accepted, {rates.arrivals_per_s:,.0f}/s came"
        )
        evidence.append(measured("timeline", "accepted", rates.accepts_per_s, text, rates.arrivals_per_s))
    return evidence


def remedies(run: RunResult) -> list[Remedy]:
    """How the accepting thread gets its turn, and what only lets more wait."""
    pid = next((str(p.pid) for p in run.server.processes or []), "PID")
    watch = facts.listener(run)
    delay = None if watch is None else delay_text(run, watch.limit, wanted_backlog(run, watch))
    advice = [
        Remedy(
            command="accept in a process of its own (SO_REUSEPORT), and hand the work to others",
            works=True,
            changes=[changes.ACCEPT],
            why="A process that only accepts needs next to no CPU, and the scheduler serves it soon.",
        ),
        Remedy(
            command="fewer worker threads than cores; a bounded queue of work before them",
            works=True,
            changes=[changes.SHARE_CPU],
            why="Threads that burn the CPU push the accepting one back; with a core left it accepts at once.",
        ),
        Remedy(
            command=f"top -H -p {pid}; pidstat -tu -p {pid} 1; perf top -p {pid}",
            works=True,
            changes=[changes.LOOK],
            why="Shows which threads burn the CPU, and %wait of the one that accepts.",
        ),
        Remedy(
            command="renice, chrt -r 1 -p TID   # of the accepting thread alone",
            works=True,
            changes=[changes.program("the priority of one thread of the server", "server")],
            why="It runs before the others. (Not within one interpreter lock: there only processes help.)",
        ),
        does_nothing(
            "bigger_backlog_for_slow_accept",
            "a bigger backlog, sysctl -w net.core.somaxconn=65535",
            changes=[changes.queue()],
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_max_syn_backlog=65536",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_max_syn_backlog", 65536)],
            why="The connections wait for accept(); the SYN queue has nothing to do with it.",
        ),
    ]
    if delay is not None:
        advice[-2] = advice[-2].replace(why=f"Here {delay}.")
    return advice


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """How the owners of a queue fared between the two, while connections waited at both."""
    if snapshots.before is None:
        text = "How much CPU a server uses takes two snapshots."
        return Judgement("not_observed", text, [unknown("/proc/PID/stat", "-", "one moment has no rate")])
    queue = next((q for q in snapshots.queues if q.now.depth > 0 and q.then is not None and q.then.depth > 0), None)
    if queue is None:
        nothing = measured("sock_diag", "depth", 0, "no queue held any at both")
        return Judgement("ruled_out", "No connections waited at both moments.", [nothing])
    owning, full = owners.of_listener(queue.then, queue.now, snapshots.span_s), snapshots.after.host.cores
    about = snapshots.run(queue)
    told = next((told for owner in owning if (told := _kept_off(owner))), None)
    if told is not None:
        verdict, summary = _starved(told, overflowed_at(snapshots, queue))
        return Judgement(verdict, summary, [queue.evidence], about=about)
    cores = [owner.ran for owner in owning if owner.ran is not None]
    if not cores or not full or full < 1:
        return Judgement("not_observed", "The server's CPU was not observed.", [queue.evidence])
    used, taken = sum(cores), max((owner.taken or 0.0 for owner in owning), default=0.0)
    text = f"its owners used {used:.2f} of {plural(full, 'core')} in between"
    if taken:
        text += f", and its busiest thread had {taken:.0%} of its time taken"
    evidence = [queue.evidence, measured("/proc/PID/stat", "cpu_s", used, text, BUSY * full)]
    waited = max((owner.busiest_waited or 0.0 for owner in owning), default=0.0)
    if used < BUSY * full and taken < BUSY and waited < owners.WAITED:
        return Judgement("ruled_out", "The server had CPU to spare.", evidence)
    summary = f"Connections wait while {text}: its accepting thread may be starved."
    return Judgement("possible", summary, evidence, about=about)


_TOO_SELDOM = "the accepting thread got its turn too seldom to empty the queue"
CAUSE = Cause(
    id="accept_thread_starved",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    explains={
        "server_accepts_too_slowly": _TOO_SELDOM,
        "syn_queue_overflow": _TOO_SELDOM,
        CauseKind.ACCEPT_QUEUE: _TOO_SELDOM,
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a program whose accepting thread shares one interpreter lock with threads that burn CPU"),
)
