"""How many connections a server accepted between two moments, from what any Linux server shows. Pure; no verdict.

Every connection whose handshake ends counts in PassiveOpens and joins an accept queue; accept() takes it out again. So
what was accepted is what waited before, plus PassiveOpens, less what waits after. PassiveOpens counts for the whole
network namespace: where others listen there too, that is the most that can have been accepted here. The least is told
by the queue where it grew shorter, and by sockets at the port that have an inode, for accept() gives it
(docs/kernel.md rule 2).

Source: `tcp_create_openreq_child` and `inet_csk_reqsk_queue_add` (net/ipv4), `inet_csk_accept`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from estab.kernel.rules.listening import reached, serving
from estab.records import Listener, RunResult, ServerSample, ServerSide, Snapshot, TimelinePoint

PASSIVE_OPENS = "Tcp.PassiveOpens"


@dataclass(frozen=True)
class Moment:
    """A server's port at one moment. None: not seen then.

    `depth` waits for accept() at all its listeners, `passive_opens` is the namespace's counter from whatever start,
    `held` are the sockets at the port that have been accepted and not closed.
    """

    at_s: float
    depth: int
    passive_opens: int | None = None
    held: int | None = None


@dataclass(frozen=True)
class Accepted:
    """What was accepted in `span_s` seconds: at least `least`, at most `most` (None: no bound is known)."""

    span_s: float
    least: int
    most: int | None

    @property
    def none(self) -> bool:
        """Whether nothing can have been accepted."""
        return self.most == 0

    @property
    def per_s(self) -> tuple[float, float | None]:
        """Both bounds a second; `span_s` must be above 0."""
        return self.least / self.span_s, None if self.most is None else self.most / self.span_s


def totals(moments: Sequence[Moment]) -> list[int | None]:
    """At most so many had been accepted by each moment since the first; None where the counter was not seen.

    The counter is read just after the queue. What joins the queue in between looks accepted at that moment, and no
    more at the next: nothing that was accepted is ever taken back, so a later bound holds for an earlier moment too.
    """
    opened = [moment.passive_opens for moment in moments if moment.passive_opens is not None]
    began_anew = opened != sorted(opened)
    if not moments or moments[0].passive_opens is None or began_anew:
        return [None] * len(moments)
    start = moments[0].depth - moments[0].passive_opens
    known: list[int | None] = []
    least_later: int | None = None
    for moment in reversed(moments):
        if moment.passive_opens is not None:
            bound = max(0, start + moment.passive_opens - moment.depth)
            least_later = bound if least_later is None else min(bound, least_later)
        known.append(least_later if moment.passive_opens is not None else None)
    return known[::-1]


def between(moments: Sequence[Moment], *, alone: bool) -> Accepted | None:
    """What was accepted from the first of `moments`, which are in order, to the last. None: there are fewer than two.

    `alone`: nobody else listens in that namespace, so that the upper bound is what was accepted.
    """
    if len(moments) < 2:
        return None
    held = [moment.held for moment in moments if moment.held is not None]
    shortened = sum(max(0, earlier.depth - later.depth) for earlier, later in pairwise(moments))
    least = max(shortened, held[-1] - held[0] if held else 0)
    span_s = max(0.0, moments[-1].at_s - moments[0].at_s)
    most = totals(moments)[-1]
    if most is None:
        return Accepted(span_s, least, None)
    most = max(least, most)
    return Accepted(span_s, most if alone else least, most)


@dataclass(frozen=True)
class Standstill:
    """From `from_s` to `to_s` (of the moments' clock) at least `waiting` connections waited and none was accepted.

    At most `deepest` waited. `certain`: the counters exclude it, but for what joined the queue while the first moment
    was read. Otherwise others that listen in the namespace were connected to meanwhile, and only no sign was seen: the
    queue never grew shorter, and the accepted sockets at the port not more.
    """

    from_s: float
    to_s: float
    waiting: int
    deepest: int
    certain: bool

    @property
    def span_s(self) -> float:
        """How long that was."""
        return self.to_s - self.from_s


def standstills(moments: Sequence[Moment], *, alone: bool) -> list[Standstill]:
    """Each time in which something waited and nothing was accepted, in order.

    `alone`: as for `between`; then a connection that was accepted and at once replaced by another is seen too.
    """
    accepted = totals(moments)
    found = []
    for first, last in _stretches(moments, accepted if alone else [None] * len(moments)):
        if first == last:
            continue
        stretch = moments[first : last + 1]
        certain = accepted[first] is not None and accepted[first] == accepted[last]
        depths = [moment.depth for moment in stretch]
        found.append(Standstill(stretch[0].at_s, stretch[-1].at_s, min(depths), max(depths), certain))
    return found


def standstill(moments: Sequence[Moment], *, alone: bool) -> Standstill | None:
    """The longest of `standstills`; of equal ones the last. None: there is none."""
    return max(reversed(standstills(moments, alone=alone)), key=lambda still: still.span_s, default=None)


# So long nothing may be accepted before a server counts as stopped: shorter than the second after which a client sends
# its SYN again, a pause costs little. And so many times as long as the longest pause that it had made before.
STOPPED_S = 1.0
STOPPED_OF_PAUSE = 3.0


@dataclass(frozen=True)
class Stopped:
    """A server that had not accepted for `span_s` when it was last seen, with `waiting` connections at least.

    At most `deepest` waited meanwhile. `pause_s` is the longest pause before that. `sure`: nothing can have been
    accepted meanwhile. `for_long`: no pause of this program's lasts so long.
    """

    span_s: float
    pause_s: float
    waiting: int
    deepest: int
    sure: bool

    @property
    def for_long(self) -> bool:
        """Whether that is longer than a pause."""
        return self.span_s >= STOPPED_S and self.span_s >= STOPPED_OF_PAUSE * self.pause_s


def stopped(moments: Sequence[Moment], *, alone: bool, kept: bool = False) -> Stopped | None:
    """Whether nothing was accepted any more at the end. None: something was, or nothing waited.

    `kept`: what is accepted stays open, so that the accepted sockets at the port tell as well as the counters.
    """
    # Where others listen too, a counter that rises tells nothing of this port, but one that stands still does.
    by_counters = _to_the_end(moments, standstills(moments, alone=True), kept=kept)
    if alone or (by_counters is not None and by_counters.for_long):
        return by_counters
    return _to_the_end(moments, standstills(moments, alone=False), kept=kept)


def _to_the_end(moments: Sequence[Moment], stills: Sequence[Standstill], *, kept: bool) -> Stopped | None:
    if not stills or moments[-1].depth <= 0 or stills[-1].to_s < moments[-1].at_s:
        return None
    last = stills[-1]
    held = [moment.held for moment in moments if moment.at_s >= last.from_s and moment.held is not None]
    pause_s = max((still.span_s for still in stills[:-1]), default=0.0)
    return Stopped(last.span_s, pause_s, last.waiting, last.deepest, last.certain or (kept and len(held) > 1))


def _stretches(moments: Sequence[Moment], accepted: Sequence[int | None]) -> Iterable[tuple[int, int]]:
    """First and last of each run of moments in which the queue is never empty and no accept() shows."""
    first: int | None = None
    held: int | None = None
    for index, moment in enumerate(moments):
        grew = held is not None and moment.held is not None and moment.held > held
        held = moment.held if moment.held is not None else held
        before = moments[index - 1] if first is not None else None
        if before is not None and (moment.depth < before.depth or grew or _rose(accepted, index)):
            yield first or 0, index - 1
            first = None
        if moment.depth <= 0:
            first = None
        elif first is None:
            first = index
    if first is not None:
        yield first, len(moments) - 1


def _rose(accepted: Sequence[int | None], index: int) -> bool:
    before, now = accepted[index - 1], accepted[index]
    return before is not None and now is not None and now > before


_FEW_SAMPLES = 10

# A run -------------------------------------------------------------------------------------------------------------


def of_run(run: RunResult) -> list[Moment]:
    """The server's port through a run, by seconds since its start; empty where its end was not seen.

    Where its snapshots came from a command there is no timeline of it: then those few looks.
    """
    if not run.server.observed:
        return []
    if run.server.looks:
        return [moment for look in run.server.looks if (moment := _at(look, look.t_s)) is not None]
    points = [moment for point in run.timeline if (moment := _at(point, point.t_s, point.accepted)) is not None]
    if points:
        first = _before(run)
        return [*([first] if first is not None else []), *points]
    ends = [snapshot for snapshot in (run.server.before, run.server.after) if snapshot is not None]
    return of_snapshots(ends, run.server.listener.port) if run.server.listener is not None else []


def while_open(run: RunResult) -> list[Moment]:
    """`of_run` until the load's connections are closed: a server at a limit of its own accepts again after that.

    Where no look shows when that was, only a hold does: the others close and open all the time.
    """
    moments = of_run(run)
    if run.server.looks:
        until_s = max((look.t_s for look in run.server.looks if look.load_open), default=math.inf)
    elif run.command != "hold":
        return moments
    else:
        until_s = _closing_s(run.timeline)
    return [moment for moment in moments if moment.at_s <= until_s]


def _closing_s(timeline: Sequence[TimelinePoint]) -> float:
    """The last point before a hold closes what it has: a point's queue is read after its count of what is open."""
    most = max((point.open for point in timeline), default=0)
    held = [point.t_s for point in timeline if point.open * 2 >= most > 0]
    if not held:
        return math.inf
    closes = len(held) > 1 and timeline[-1].t_s > held[-1]
    return held[-2] if closes else held[-1]


def _before(run: RunResult) -> Moment | None:
    before = run.server.before
    listeners = _listeners(run, before)
    if before is None or not listeners:
        return None
    port = listeners[0].port
    return Moment(0.0, _depth(listeners), 0, held_at(before, port))


def _at(sample: ServerSample, at_s: float, accepted: int | None = None) -> Moment | None:
    """A sample as a moment. A server that says itself what it accepted needs no counter of the kernel's."""
    if sample.queue_depth is None:
        return None
    opened = sample.passive_opens if accepted is None else accepted + sample.queue_depth
    return Moment(at_s, sample.queue_depth, opened, sample.server_held)


def alone(run: RunResult) -> bool:
    """Whether nobody but the target's listeners was seen to listen in the server's namespace, before and after."""
    ends = (run.server.before, run.server.after)
    return run.server.observed and all(_nobody_else(snapshot, _listeners(run, snapshot)) for snapshot in ends)


def over(run: RunResult) -> Accepted | None:
    """What was accepted from before the run until its last sample. None: the server's end was not seen."""
    return between(of_run(run), alone=alone(run))


def waits(run: RunResult) -> tuple[float, float] | None:
    """For how long something waited for accept() in all, and the longest of it without an accept; in seconds.

    As samples tell, each of which stands for the time until the next. None: there are not ten.
    """
    moments = of_run(run)
    if len(moments) < _FEW_SAMPLES or run.server.looks:
        return None
    each_s = (moments[-1].at_s - moments[0].at_s) / (len(moments) - 1)
    still = standstill(moments, alone=alone(run))
    return each_s * sum(moment.depth > 0 for moment in moments), still.span_s if still is not None else 0.0


def older(server: ServerSide) -> tuple[int, int] | None:
    """Connections at the port before the run: accepted, and waiting for accept(). None: not seen."""
    before = server.before if server.observed else None
    sockets = before.server_sockets if before is not None else None
    return (sockets.accepted, sockets.queued) if sockets is not None else None


def since_before(server: ServerSide) -> int | None:
    """Accepted sockets when every connect had been settled, less those of before the run. None: not counted."""
    watch, there_before = server.listener, older(server)
    if not server.observed or watch is None or watch.accepted_at_end is None:
        return None
    return max(0, watch.accepted_at_end - (there_before[0] if there_before is not None else 0))


# Snapshots ---------------------------------------------------------------------------------------------------------


def of_snapshots(snapshots: Iterable[Snapshot], port: int) -> list[Moment]:
    """A port in snapshots of one namespace, by Unix time; those in which nothing listened there are left out."""
    moments = []
    for snapshot in snapshots:
        listeners = [listener for listener in snapshot.listeners or () if listener.port == port]
        if listeners:
            opened = (snapshot.counters or {}).get(PASSIVE_OPENS)
            moments.append(Moment(snapshot.taken_at_s, _depth(listeners), opened, held_at(snapshot, port)))
    return moments


def alone_at(snapshots: Iterable[Snapshot], port: int) -> bool:
    """Whether nothing but `port` was listened on in any of the snapshots."""
    return all(_nobody_else(one, [at for at in one.listeners or () if at.port == port]) for one in snapshots)


def held_at(snapshot: Snapshot, port: int) -> int | None:
    """Connections at a port that have been accepted and not closed by the server. None: not counted.

    Where the port's own sockets were not looked at, what the census counts there in ESTAB and CLOSE-WAIT, less what
    waits for accept().
    """
    if snapshot.server_sockets is not None and snapshot.server_sockets.port == port:
        return snapshot.server_sockets.accepted
    counted = next((at for at in snapshot.census.ports if at.port == port), None) if snapshot.census else None
    listeners = [listener for listener in snapshot.listeners or () if listener.port == port]
    if counted is None or not listeners:
        return None
    return max(0, counted.states.get("ESTAB", 0) + counted.states.get("CLOSE-WAIT", 0) - _depth(listeners))


def _listeners(run: RunResult, snapshot: Snapshot | None) -> list[Listener]:
    """Those of the run's target in one of its snapshots."""
    watch = run.server.listener
    if snapshot is None or watch is None:
        return []
    return serving(snapshot.listeners or (), reached(watch.address), watch.port, anywhere=True)


def _nobody_else(snapshot: Snapshot | None, ours: Sequence[Listener]) -> bool:
    listening = (snapshot.states or {}).get("LISTEN") if snapshot is not None else None
    return listening is not None and bool(ours) and listening == len(ours)


def _depth(listeners: Iterable[Listener]) -> int:
    return sum(max(0, listener.depth) for listener in listeners)
