"""The server of a recorded run: its backlog, and how it accepted. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from estab.diagnose import closings, facts, idle_times, members
from estab.diagnose.rates import accepted_along
from estab.lab.stage.hosts import PORT
from estab.lab.stage.scaling import PORT_RANGE
from estab.lab.stage.setup import Setup
from estab.records import RunResult, TimelinePoint

BURNERS = 8  # as the lab's scenario: enough that the accepting thread seldom gets the interpreter's lock
DEFER_S = 30  # longer than any load of a twin waits for a first byte
_PAUSE_S = 0.08  # what is shorter is no pause that ten samples a second can show
_SLOWLY = 4  # half of so many, one a sample, a server takes by the sample after next that is merely slow
_STANDS_STILL_S = 0.5
_MOST_PAUSES = 6  # more of them are a pace
_Accepted = tuple[TimelinePoint, int]  # a moment, and how many had been accepted by then


def serving(run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    """The twin with the record's backlog, and with a server that accepts as the record's did."""
    if run.cause == "nobody_listening":
        return replace(setup, listens=False)
    if run.cause == "listen_port_taken":
        assumed.append("another program connects from all of four ports, that of the server among them")
        return replace(setup, taken=True).with_sysctl("server", PORT_RANGE, f"{PORT} {PORT + 3}")
    watch = run.server.listener
    asked = facts.asked(run, "backlog_asked")
    if watch is None:
        assumed.append("the server's listener was not seen: backlog 4096, and it accepts at once")
        return replace(setup, backlog=4096 if asked is None else int(asked))
    # What was asked for matters where somaxconn cut it: a remedy may raise that.
    backlog = max(watch.limit, int(asked or 0))
    setup = replace(setup, backlog=backlog, processes=max(1, watch.listeners))
    if setup.somaxconn is not None and watch.limit > setup.somaxconn:
        assumed.append(f"listen() was called under another somaxconn: here it is {watch.limit:,}, as was granted")
        setup = setup.with_sysctl("server", "net.core.somaxconn", watch.limit)
    return _PROGRAMS.get(run.cause or "", _accepting)(run, setup, assumed)


def _deferring(_run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    assumed.append(f"TCP_DEFER_ACCEPT is {DEFER_S} s: that it is set is seen, how long is not")
    return replace(setup, defer_s=DEFER_S, processes=1)


def _starved(_run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    assumed.append(f"what takes the CPU are {BURNERS} threads under one interpreter lock, whatever it was there")
    return replace(setup, burners=BURNERS, processes=1)


def _leaking(_run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    assumed.append("the server never closes what its clients closed; the record's may close some")
    return replace(setup, leaks=1, processes=1)


def _limited(run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    stayed = closings.kept(run)
    assumed.append("what is over its limit is closed at once and without a word, whatever it did there")
    return replace(setup, closes=("over", stayed.open if stayed is not None else 0), processes=1)


def _with_stuck_members(run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    assumed.append("which listener a connect meets is by chance, as there")
    return replace(setup, stuck=len(members.stuck(run)))


def _short_of_tasks(run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    stayed = closings.kept(run)
    assumed.append("each connection takes a thread, and what gets none is closed at once, whatever it did there")
    return replace(setup, tasks=1 + (stayed.open if stayed is not None else 0), processes=1)


def _accepting(run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    watch, cause = run.server.listener, run.cause
    if watch is None or watch.worst_depth <= 0 or cause == "server_open_files":
        return setup
    if not facts.accepted(run) and cause == "server_not_accepting":
        return replace(setup, accepts=False)
    gap = run.config.get("accept_delay_s")
    if isinstance(gap, int | float) and 0 < gap <= 3600:
        return replace(setup, accept_delay_s=float(gap))
    points = accepted_along(run)
    if cause == "server_not_accepting" and points:
        most = points[-1][1]
        return replace(setup, stops_after_s=next(point.t_s for point, count in points if count >= most))
    return _paced(run, setup, points, assumed)


def _paced(run: RunResult, setup: Setup, points: list[_Accepted], assumed: list[str]) -> Setup:
    """With the pauses that the timeline shows, else with its rate, else at once."""
    paused = pauses(_to_the_end(run, points))
    if paused:
        told = " and ".join(f"from {start:.1f} to {end:.1f} s" for start, end in paused)
        assumed.append(f"accept() paused {told}, as ten samples a second show it")
        return replace(setup, pauses=paused)
    rate = _accepts_per_s(points)
    overflowed = run.server.rose(facts.LISTEN_OVERFLOWS) or facts.unix_refusals(run)
    if rate is not None and overflowed:
        return replace(setup, accept_delay_s=min(3600.0, 1 / rate))
    if facts.unix_refusals(run):
        assumed.append(f"how fast the server accepted was not seen: it stands still for {_STANDS_STILL_S:g} s")
        return replace(setup, pauses=((0.0, _STANDS_STILL_S),))
    if rate is None and run.server.rose(facts.LISTEN_OVERFLOWS):
        assumed.append("how fast the server accepted was not seen: at once")
    return setup


def _to_the_end(run: RunResult, points: list[_Accepted]) -> list[_Accepted]:
    """With what had been accepted when the load was over: the last sample is up to a tenth of a second older."""
    watch, accepted = run.server.listener, facts.accepted(run)
    if not points or watch is None or accepted is None or accepted <= points[-1][1]:
        return points
    last = points[-1][0]
    end = last.replace(t_s=max(last.t_s, run.load_s), queue_depth=watch.last_depth)
    return [*points, (end, accepted)]


def pauses(points: list[_Accepted]) -> tuple[tuple[float, float], ...]:
    """When nothing was accepted although connections waited, and most of them at once afterwards; from, to in seconds.

    Empty where there is none, or where there are so many that they are a pace. A standstill from the first accept on
    began before the load: from 0.
    """
    spans: list[tuple[float, float]] = []
    start: float | None = None
    before: _Accepted | None = None
    for place, ((now, count), (later, more)) in enumerate(pairwise(points)):
        if start is None and now.queue_depth and (count == 0 or (before is not None and before[1] == count)):
            start = 0.0 if count == 0 or before is None else before[0].t_s
        if start is not None and more > count:
            after = points[min(place + 2, len(points) - 1)][0]
            if now.t_s - start >= _PAUSE_S and _fell(now, later, after):
                spans.append((start, (now.t_s + later.t_s) / 2))
            start = None
        before = (now, count)
    return tuple(spans) if len(spans) <= _MOST_PAUSES else ()


def _fell(standing: TimelinePoint, later: TimelinePoint, after: TimelinePoint) -> bool:
    """Whether half of what waited was taken at once: by the next sample or, if that came as it was, the one after."""
    waited = standing.queue_depth or 0
    return 2 * (later.queue_depth or 0) <= waited or (waited > _SLOWLY and 2 * (after.queue_depth or 0) <= waited)


def _accepts_per_s(points: list[_Accepted]) -> float | None:
    """Accepts a second while connections waited; None: not seen, or none."""
    waiting = [(point.t_s, count) for point, count in points if point.queue_depth]
    if len(waiting) < 2 or waiting[-1][0] - waiting[0][0] < 0.05:
        return None
    (first_s, first), (last_s, last) = waiting[0], waiting[-1]
    return (last - first) / (last_s - first_s) if last > first else None


def _reading_a_byte(_run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    assumed.append("the server reads one byte of each request and closes; how many the record's read is not known")
    return replace(setup, closes=("unread", 1), processes=1)


def _without_backend(_run: RunResult, setup: Setup, assumed: list[str]) -> Setup:
    assumed.append("the proxy's backend is a closed port of its own host, wherever it was there")
    return replace(setup, closes=("no_backend", 0), processes=1)


def _ending(run: RunResult, setup: Setup, _assumed: list[str]) -> Setup:
    span = closings.ended_between_s(run)
    return replace(setup, closes=("dies", span[0] if span is not None else 0.0), processes=1)


def _closing_silent(run: RunResult, setup: Setup, _assumed: list[str]) -> Setup:
    span = idle_times.idle_times(run).rested_s if run.idle_gaps else closings.ended_between_s(run)
    return replace(setup, closes=("idle", span[0] if span is not None else 0.0), processes=1)


_PROGRAMS: dict[str, Callable[[RunResult, Setup, list[str]], Setup]] = {
    "defer_accept_drops": _deferring,
    "accept_thread_starved": _starved,
    "close_wait_leak": _leaking,
    "server_connection_limit": _limited,
    "server_task_limit": _short_of_tasks,
    "reuseport_member_stuck": _with_stuck_members,
    "server_died": _ending,
    "server_idle_close": _closing_silent,
    "closed_with_data_unread": _reading_a_byte,
    "proxy_backend_unreachable": _without_backend,
}
