"""`--cluster`: one load on every host of a Dask cluster, from asking who is there to one result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from estab.api.recorder import Progress
from estab.api.request import DEFAULT_OPTIONS, LoadOptions
from estab.cluster import shares, total
from estab.cluster.coordinator import ATTEND, GENERATE, Coordinator, Outcome, Task
from estab.cluster.members import Member, Roles, assign
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
        roles = assign(session.members(), address)
        say(f"asking {plural(len(roles.all), 'worker')} who they are")
        _check(session, roles)
        parts = shares.split(request, len(roles.generators))
        generators = roles.generators[: len(parts)]
        clocks = _clocks(session, [*generators, *([roles.server] if roles.server else [])], say)
        orders = _orders(session, target, options, list(zip(generators, parts, strict=True)))
        if roles.server is not None:
            orders[roles.server] = Order(run=session.run, who=roles.server.address, target=target)
        tasks = [
            Task(ATTEND if member is roles.server else GENERATE, member, order, clocks[member.address])
            for member, order in orders.items()
        ]
        say(f"starting {plural(len(parts), 'generator')}")
        outcome = Coordinator.begin(session, tasks, stop, lambda state: _show(state, progress)).to_the_end()
    asked = total.ClusterRequest(
        request=request,
        options=options,
        target=target,
        scheduler=address,
        idle=_idle(roles, len(parts)),
        here=host.facts(),
        at_s=asked_at_s,
        engine=engine_name(),
    )
    return total.result(asked, outcome, [part.connections for part in parts])


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


def _check(session: Session, roles: Roles) -> None:
    """Raises MachineError where somebody can't take its role."""
    wrong = [answer for answer in session.probe(roles.all).values() if not isinstance(answer, Probed)]
    if wrong:
        others = f" (and {len(wrong) - 1} more: estab cluster check {session.address})" if len(wrong) > 1 else ""
        raise MachineError(f"{wrong[0]}{others}")


def _clocks(session: Session, members: Sequence[Member], say: Ready) -> dict[str, Clock]:
    clocks = {}
    for number, member in enumerate(members, 1):
        say(f"comparing clocks: {number} of {len(members)}")
        clocks[member.address] = session.clock(member)
    return clocks


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


def _idle(roles: Roles, used: int) -> dict[str, str]:
    left_over = {member.address: "there are fewer connections than hosts" for member in roles.generators[used:]}
    return {**roles.idle, **left_over}


def _show(state: Outcome, progress: Show | None) -> None:
    points = [part.point for part in state.parts if part.point is not None]
    now = summed(points)
    if progress is None or now is None:
        return
    at_work = [part for part in state.parts if not part.over]
    stage = min((part.stage for part in at_work), key=_place, default="closing")
    closed = sum(point.completed for point in points) if stage == "closing" else 0
    lost = sum(part.lost is not None for part in state.parts)
    progress(ClusterProgress(Progress(stage, now, closed), len(state.parts), len(at_work), lost))


def _place(stage: str) -> int:
    return _STAGES.index(stage) if stage in _STAGES else 0
