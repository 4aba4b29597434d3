"""`--cluster`: one load on every host of a Dask cluster, from asking who is there to one result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from estab.api.recorder import Progress
from estab.api.request import DEFAULT_OPTIONS, LoadOptions
from estab.cluster import shares, total
from estab.cluster.follow import ATTEND, GENERATE, Follow, Followed, Task
from estab.cluster.members import Cast, Member, cast
from estab.cluster.messages import Order, Request
from estab.cluster.probe import Probed
from estab.cluster.session import Session, connected, need_extra
from estab.cluster.timeline import summed
from estab.errors import MachineError, UsageError
from estab.load.conductor import Stop
from estab.load.fleet import engine_name
from estab.load.target import parse
from estab.observe import host
from estab.records.cluster import Clock, ClusterResult
from estab.words import plural

LIVE_EVERY_S = 0.2
WORDS_PER_S = 100  # what a scheduler is asked to pass on of all hosts together
_STAGES = ("starting", "connecting", "running", "holding", "closing")


@dataclass(frozen=True)
class ClusterProgress:
    """Where all hosts stand together: `progress` as of one run, `ready` of `hosts` that are still at work."""

    progress: Progress
    hosts: int
    at_work: int
    lost: int


Show = Callable[[ClusterProgress], None]
Ready = Callable[[str], None]


def run(
    request: Request,
    address: str,
    target: str | None,
    *,
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: Show | None = None,
    told: Ready | None = None,
) -> ClusterResult:
    """Runs a load (`BenchRequest`, `HoldRequest`, `ChurnRequest`) on every host of a Dask cluster.

    `address` is the scheduler's. Counts and rates are those of all hosts together. `told` is given what goes on before
    the start, in words. Raises UsageError for what cannot be asked, MachineError where a host can't take part, both
    before anything is sent. A run that was stopped returns what it had, and so does one that lost hosts.
    """
    need_extra()  # first: what else is wrong can be mended later, and would be for nothing
    target, asked_at_s = _checked(target, options), time.time()
    say = told or (lambda _text: None)
    say(f"connecting to {address}")
    with contextlib.ExitStack() as stack:
        session = stack.enter_context(connected(address))
        stop = stop or stack.enter_context(Stop())
        members = cast(session.members(), address)
        say(f"asking {plural(len(members.all), 'worker')} who they are")
        _check(session, members)
        parts = shares.split(request, len(members.generators))
        generators = members.generators[: len(parts)]
        clocks = _clocks(session, [*generators, *([members.server] if members.server else [])], say)
        orders = _orders(session, target, options, list(zip(generators, parts, strict=True)))
        if members.server is not None:
            orders[members.server] = Order(run=session.run, who=members.server.address, target=target)
        tasks = [
            Task(ATTEND if member is members.server else GENERATE, member, order, clocks[member.address])
            for member, order in orders.items()
        ]
        say(f"starting {plural(len(parts), 'generator')}")
        followed = Follow.begin(session, tasks, stop, lambda state: _show(state, progress)).to_the_end()
    asked = total.ClusterRequest(
        request=request,
        options=options,
        target=target,
        scheduler=address,
        idle=_idle(members, len(parts)),
        here=host.facts(),
        at_s=asked_at_s,
        engine=engine_name(),
    )
    return total.result(asked, followed, [part.connections for part in parts])


def _checked(target: str | None, options: LoadOptions) -> str:
    """The target. Raises UsageError for what one host can ask and many can't."""
    if target is None:
        raise UsageError("a cluster needs a `target` that every host can reach; the embedded server is on one alone")
    parse(target)
    if options.sources:
        raise UsageError("on a cluster each host has addresses of its own: leave out `sources`")
    if options.server_via:
        raise UsageError(
            "on a cluster the server is seen by a worker on its host, started there with --resources estab-server=1: "
            "leave out `server_via`"
        )
    return target


def _check(session: Session, members: Cast) -> None:
    """Raises MachineError where somebody with a part can't take it."""
    wrong = [one for one in session.probe(members.all).values() if not isinstance(one, Probed)]
    if wrong:
        others = f" (and {len(wrong) - 1} more: estab cluster check {session.address})" if len(wrong) > 1 else ""
        raise MachineError(f"{wrong[0]}{others}")


def _clocks(session: Session, members: Sequence[Member], say: Ready) -> dict[str, Clock]:
    found = {}
    for number, one in enumerate(members, 1):
        say(f"comparing clocks: {number} of {len(members)}")
        found[one.address] = session.clock(one)
    return found


def _orders(
    session: Session, target: str, options: LoadOptions, parts: Sequence[tuple[Member, Request]]
) -> dict[Member, Order]:
    live_every_s = max(LIVE_EVERY_S, len(parts) / WORDS_PER_S)
    return {
        member: Order(
            run=session.run,
            who=member.address,
            target=target,
            request=part,
            options=options,
            live_every_s=live_every_s,
        )
        for member, part in parts
    }


def _idle(members: Cast, used: int) -> dict[str, str]:
    left_over = {one.address: "there are fewer connections than hosts" for one in members.generators[used:]}
    return {**members.idle, **left_over}


def _show(state: Followed, progress: Show | None) -> None:
    points = [one.point for one in state.parts if one.point is not None]
    now = summed(points)
    if progress is None or now is None:
        return
    at_work = [one for one in state.parts if not one.over]
    stage = min((one.stage for one in at_work), key=_place, default="closing")
    closed = sum(point.completed for point in points) if stage == "closing" else 0
    lost = sum(one.lost is not None for one in state.parts)
    progress(ClusterProgress(Progress(stage, now, closed), len(state.parts), len(at_work), lost))


def _place(stage: str) -> int:
    return _STAGES.index(stage) if stage in _STAGES else 0
