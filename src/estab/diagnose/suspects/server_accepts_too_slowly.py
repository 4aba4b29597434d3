"""Clients come faster than the server accepts, for as long as they come: its queue fills, however long it is.

Source: no limit of the kernel but arithmetic: what waits grows by (arrivals - accepts) a second until B+1 wait
(`sk_acceptq_is_full`, include/net/sock.h), so that B more places delay the overflow by B / (arrivals - accepts) s. What
was accepted is PassiveOpens less the growth of the queue (docs/kernel.md rules 2 and 3). It differs from an overflow by
what comes at once (`diagnose/overload.py` tells the two apart), from a server that accepts nothing, and from one whose
thread gets no core: here the program itself takes its time, in its handler or with all of the one core that it can use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from estab.diagnose import facts, overload, owners
from estab.diagnose.advice import changes, programs
from estab.diagnose.advice.backlog import delay_text, wanted_backlog
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt, gravest
from estab.diagnose.evidence import SNMP, listener_unseen, measured, unknown, worst_depth
from estab.diagnose.on_snapshots import LISTENERS_UNSEEN, Queue, Snapshots
from estab.diagnose.overflow import overflowed, overflowed_at
from estab.diagnose.owners import Owner
from estab.diagnose.rates import QueueRates, queue_rates
from estab.kernel.formats.endpoint import endpoint
from estab.records import Evidence, ListenerWatch, Remedy, RunResult, Verdict
from estab.words import plural

_BUSY = 0.9  # of the time of one thread: it can't do more
_IDLE = 0.5  # of it: what keeps it from accept() is no work of its own


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the queue overflowed while more came than was accepted all the time, for no lack of a core."""
    watch = facts.listener(run)
    if watch is None:
        text = f"How fast the server accepts was not observed ({facts.why_unseen(run)})."
        return Judgement("not_observed", text, [listener_unseen(run)])
    verdict, summary = _weigh(run, watch, overflowed(run))
    return Judgement(verdict, summary, _evidence(run, watch))


def failures(run: RunResult) -> int:
    """As for any overflow of the queue."""
    return facts.turned_away_clients(run)


def _weigh(run: RunResult, watch: ListenerWatch, spilled: bool | None) -> tuple[Verdict, str]:
    rates = queue_rates(run)
    if spilled is False:
        return "ruled_out", "The queue did not overflow: accept() came in time."
    if rates is not None and not rates.accepts_per_s:
        return "ruled_out", "Nothing was accepted at all while connections waited."
    if (held := overload.why_held(run)) is not None:
        if rates is None and run.command != "hold":
            return "not_observed", held
        return ("possible" if overload.perhaps_in_bursts(run) and run.command == "observe" else "ruled_out"), held
    assert rates is not None
    told = _summary(run, watch, rates)
    if (kept := _kept_from_it(run)) is not None:
        return "possible", f"{told} But {kept}."
    return ("confirmed" if spilled else "possible"), told


def _summary(run: RunResult, watch: ListenerWatch, rates: QueueRates) -> str:
    lost = failures(run)
    cost = f": {plural(lost, 'connection')} failed" if lost else ""
    why = _what_it_does(run)
    return (
        f"{endpoint(watch.address, watch.port)} accepts too slowly: {rates.arrivals_per_s:,.0f}/s came and "
        f"{rates.accepts_per_s:,.0f}/s were accepted for {rates.span_s:.1f} s{cost}.{'' if why is None else f' {why}'}"
    )


# What the program does meanwhile -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Busiest:
    """Of the listener's owners the one with least time left: so much of its busiest thread's was `taken`."""

    owner: Owner
    taken: float


def _busiest(run: RunResult) -> _Busiest | None:
    shares = ((owner, owners.taken_while_waiting(run, owner)) for owner in owners.of_run(run))
    seen = [_Busiest(owner, taken) for owner, taken in shares if taken is not None]
    return max(seen, key=lambda each: each.taken, default=None)


def _kept_from_it(run: RunResult) -> str | None:
    """That others had its core, so that it is not the program that takes its time. None: not so, or not seen."""
    busiest = _busiest(run)
    waited = busiest.owner.busiest_waited if busiest is not None else None
    if busiest is None or waited is None or waited < owners.WAITED:
        return None
    return f"{busiest.owner.who} waited {waited:.0%} of the time for a core that it did not get"


def _what_it_does(run: RunResult) -> str | None:
    """Whether its accepting thread works or waits, as a sentence. None: not seen, or it does some of both."""
    busiest = _busiest(run)
    if busiest is None:
        return None
    who = f"The busiest thread of {busiest.owner.who}"
    if busiest.taken >= _BUSY:
        return f"{who} ran all the time: it has no CPU left for more."
    if busiest.taken < _IDLE:
        return f"{who} ran {busiest.taken:.0%} of the time: it waits for something between two accepts."
    return None


# Evidence ----------------------------------------------------------------------------------------------------------


def _evidence(run: RunResult, watch: ListenerWatch) -> list[Evidence]:
    evidence = [worst_depth(watch), *_rates_evidence(run)]
    busiest = _busiest(run)
    if busiest is None:
        return [*evidence, unknown("/proc/PID/task/TID/schedstat", "ran_ns", "how it used its CPU was not observed")]
    text = (
        f"the busiest thread of {busiest.owner.who} had {busiest.taken:.0%} of its time taken while connections waited"
    )
    taken = round(busiest.taken, 3)
    return [*evidence, measured("/proc/PID/task/TID/schedstat", "ran_ns, waited_ns", taken, text, _BUSY)]


def _rates_evidence(run: RunResult) -> list[Evidence]:
    rates = queue_rates(run)
    if rates is None:
        return [unknown(SNMP, "Tcp.PassiveOpens", "what came and what was accepted meanwhile was not seen")]
    counted = ", in packets" if run.command == "observe" else ""
    text = (
        f"{rates.accepts_per_s:,.1f}/s were accepted (PassiveOpens less the growth of the queue) while "
        f"{rates.arrivals_per_s:,.1f}/s came{counted}, over {rates.span_s:.1f} s in which connections waited"
    )
    return [measured("queue depth, PassiveOpens", "accepts / s", rates.accepts_per_s, text, rates.arrivals_per_s)]


# Remedies ----------------------------------------------------------------------------------------------------------


def remedies(run: RunResult) -> list[Remedy]:
    """More that accept, less to do before the next accept(), fewer clients; then what does nothing."""
    watch, rates, busiest = facts.listener(run), queue_rates(run), _busiest(run)
    delay = None if watch is None else delay_text(run, watch.limit, wanted_backlog(run, watch))
    futile = bigger_backlog(f"Here {delay}." if delay is not None else "It fills again: what waits only waits longer.")
    return [
        *_more_that_accept(run, rates),
        Remedy(
            command="less work before the next accept(): hand each connection to a pool of workers at once",
            works=True,
            changes=[changes.ACCEPT],
            why="accept() alone takes microseconds; what is done between two of them bounds how many come in.",
        ),
        _look(run, busiest),
        Remedy(
            command="fewer connects: a connection pool or keep-alive at the clients, or a rate limit before the server",
            works=True,
            changes=[changes.program("how often the clients connect")],
            why=_fits(rates),
        ),
        futile,
        Remedy(
            command="sysctl -w net.ipv4.tcp_max_syn_backlog=65536",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_max_syn_backlog", 65536)],
            why="The connections wait for accept(); the SYN queue has nothing to do with it.",
        ),
        *_no_priority(busiest),
    ]


def _more_that_accept(run: RunResult, rates: QueueRates | None) -> list[Remedy]:
    """The program's own number of workers, else processes of one's own."""
    times = 2 if rates is None or not rates.accepts_per_s else math.ceil(rates.arrivals_per_s / rates.accepts_per_s)
    why = f"Each accepts as fast as this one: {times:,} times as many would keep up, if nothing else holds them."
    port = facts.target_port(run) or "PORT"
    own = [
        (program.workers.at(times * _that_accept(run), port), f"{why} (Otherwise: {program.workers.default}.)")
        for program in programs.of(run.server.processes or ())
        if program.workers is not None
    ]
    anyone = "several accepting processes or threads: SO_REUSEPORT, or one listener that all of them share"
    return [
        Remedy(command=command, works=True, changes=[changes.ACCEPT], why=reason)
        for command, reason in own or [(anyone, why)]
    ]


def _that_accept(run: RunResult) -> int:
    """How many processes accept now: of several that own the listener one is the master, which only started them."""
    return max(1, len(run.server.processes or ()) - 1)


def _look(run: RunResult, busiest: _Busiest | None) -> Remedy:
    pid = str(busiest.owner.pid) if busiest else next((str(p.pid) for p in run.server.processes or []), "PID")
    waits = f"strace -f -tt -T -e trace=accept,accept4,connect,read,poll,nanosleep -p {pid}; py-spy dump --pid {pid}"
    works = f"perf top -p {pid}; py-spy top --pid {pid}"
    if busiest is None or _IDLE <= busiest.taken < _BUSY:
        command = f"top -H -p {pid}; {waits}"
    else:
        command = waits if busiest.taken < _IDLE else works
    return Remedy(
        command=command,
        works=True,
        changes=[changes.LOOK],
        why="Shows what it does between two calls of accept(): a backend, a lock, a file, a name that it looks up.",
    )


def _fits(rates: QueueRates | None) -> str:
    most = (
        "as many connects a second as it accepts" if rates is None else f"{rates.accepts_per_s:,.0f} connects a second"
    )
    return f"No more than {most} get through, whatever else is changed."


def _no_priority(busiest: _Busiest | None) -> list[Remedy]:
    if busiest is None or busiest.taken >= _IDLE:
        return []
    return [
        Remedy(
            command="more cores, nice, renice, chrt",
            works=False,
            changes=[changes.elsewhere("the cores of the server's host, and who gets them first")],
            why=f"Its busiest thread ran {busiest.taken:.0%} of the time: it waits for something else than a core.",
        )
    ]


# Snapshots ---------------------------------------------------------------------------------------------------------


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Full at both, and what was accepted and what was turned away in between."""
    if snapshots.after.listeners is None:
        return Judgement("not_observed", LISTENERS_UNSEEN, [unknown("sock_diag", "-", "listeners were not read")])
    waiting = [queue for queue in snapshots.queues if queue.now.depth > 0 or queue.drops]
    if not waiting:
        none = measured("sock_diag", "depth", 0, "nothing waits, and nothing was turned away")
        return Judgement("ruled_out", "No connection waits to be accepted now.", [none])
    if snapshots.before is None:
        text = "How fast connections come and are accepted takes two snapshots."
        return Judgement("not_observed", text, [waiting[0].evidence])
    return gravest(_judge_queue(snapshots, queue) for queue in waiting)


def _judge_queue(snapshots: Snapshots, queue: Queue) -> Judgement:
    run = snapshots.run(queue)
    watch = facts.listener(run)
    assert watch is not None
    verdict, summary = _weigh(run, watch, overflowed_at(snapshots, queue))
    return Judgement(verdict, summary, [queue.evidence, *_evidence(run, watch)[1:]], about=run)


_MORE_CAME = "more came than the server accepted, all the time: a queue of any length would have filled"
CAUSE = Cause(
    id="server_accepts_too_slowly",
    side="server",
    stage=ConnectionStage.ACCEPT,
    kind=CauseKind.NO_ACCEPT,
    explains={"syn_queue_overflow": _MORE_CAME, CauseKind.ACCEPT_QUEUE: _MORE_CAME},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("the queue's bounds, and accepts at the record's rate"),
)
