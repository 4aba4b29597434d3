"""`hold --find-ceiling`, `--find-idle` and `bench --find-rate`: the search, told attempt by attempt, and its result."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from estab.cli.live_block import live_block
from estab.cli.options import AskedFlags, LoadFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, show, stoppable, telling
from estab.cli.values import seconds
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.api.bench import BenchRequest
    from estab.api.request import LoadOptions

FIRST_PER_S = 1000.0
_BOUND = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)\s*<=?\s*(.+)|max\s*<=?\s*(.+)")


def bound(text: str) -> tuple[float, float]:
    """`p99<5ms` as percentile and seconds; `max<1s` is p100. Raises UsageError."""
    match = _BOUND.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--find-rate is {text!r}; write a bound, as p99<5ms, p99.9<20ms or max<1s")
    try:
        return float(match[1] or 100), seconds(match[2] or match[3])
    except ValueError as error:
        raise UsageError(f"--find-rate is {text!r}: {error}") from error


def find_ceiling(target: str | None, most: int | None, flags: LoadFlags) -> int:
    """Searches, shows, and gives the exit code: 0 when the number is sure."""
    from estab.api.ceiling import find_ceiling as search
    from estab.api.local_server import address_of
    from estab.report.answer.search import answer_ceiling, brief_ceiling
    from estab.report.progress import LoadProgress, SearchProgress
    from estab.report.search import ceiling_step, render_ceiling

    options = _options(target, flags)
    target = None if target is None else address_of(target)
    attempts = SearchProgress(lambda number: LoadProgress(f"attempt {number}", "hold", 0, None))
    with stoppable() as stop, live_block(flags.output) as draw:
        ceiling = search(
            target,
            most=most,
            options=options,
            stop=stop,
            progress=telling(draw, attempts),
            stepped=lambda step: attempts.stepped(ceiling_step(step)),
        )
    JsonFile(flags.output.json).write(ceiling)
    show(
        flags.output,
        partial(brief_ceiling, ceiling),
        partial(answer_ceiling, ceiling),
        partial(render_ceiling, ceiling),
    )
    return _code(ceiling.interrupted, ceiling.confirmed or (ceiling.ceiling is not None and not ceiling.met))


def find_idle(target: str | None, most_s: float, asked: AskedFlags, size: int | None, flags: LoadFlags) -> int:
    """Searches, shows, and gives the exit code: 0 when the time is sure, or sure to be longer."""
    from estab.api.idle import find_idle as search
    from estab.api.local_server import address_of
    from estab.report.answer.search import answer_idle, brief_idle
    from estab.report.progress import LoadProgress, SearchProgress
    from estab.report.search import idle_step, render_idle

    options = _options(target, flags)
    parameters = asked.parameters()
    if parameters.pop("until_close"):
        raise UsageError("--until-close ends a connection with its first reply: with --find-idle it is to go on")
    target = None if target is None else address_of(target)
    attempts = SearchProgress(lambda number: LoadProgress(f"round {number}", "hold", 0, None))
    with stoppable() as stop, live_block(flags.output) as draw:
        idle = search(
            target, most_s=most_s, size_bytes=size, **parameters, options=options, stop=stop,
            progress=telling(draw, attempts), stepped=lambda step: attempts.stepped(idle_step(step)),
        )  # fmt: skip
    JsonFile(flags.output.json).write(idle)
    show(flags.output, partial(brief_idle, idle), partial(answer_idle, idle), partial(render_idle, idle))
    return _code(idle.interrupted, idle.confirmed)


def find_rate(target: str | None, text: str, request: BenchRequest, flags: LoadFlags) -> int:
    """Searches from the rate of `request` on, shows, and gives the exit code: 0 when the rate is sure."""
    from estab.api.highest_rate import find_rate as search
    from estab.api.local_server import address_of
    from estab.report.answer.search import answer_rate, brief_rate
    from estab.report.progress import LoadProgress, SearchProgress
    from estab.report.search import rate_step, render_rate

    percentile, bound_s = bound(text)
    options = _options(target, flags)
    target = None if target is None else address_of(target)
    attempts = SearchProgress(
        lambda number: LoadProgress(f"attempt {number}", "bench", request.connections, request.duration_s)
    )
    with stoppable() as stop, live_block(flags.output) as draw:
        highest = search(
            target, bound_s=bound_s, percentile=percentile, first_per_s=request.rate_per_s or FIRST_PER_S,
            connections=request.connections, duration_s=request.duration_s, size_bytes=request.size_bytes,
            http=request.http, request=request.request, until=request.until, reply_bytes=request.reply_bytes,
            until_close=request.until_close, arrivals=request.arrivals, options=options, stop=stop,
            progress=telling(draw, attempts), stepped=lambda step: attempts.stepped(rate_step(step)),
        )  # fmt: skip
    JsonFile(flags.output.json).write(highest)
    show(flags.output, partial(brief_rate, highest), partial(answer_rate, highest), partial(render_rate, highest))
    return _code(highest.interrupted, highest.confirmed)


def _code(interrupted: bool, sure: bool) -> int:
    return INTERRUPTED if interrupted else OK if sure else FAILED


def _options(target: str | None, flags: LoadFlags) -> LoadOptions:
    """What a search takes of the flags. Raises UsageError for what it does not, before anything is sent."""
    JsonFile(flags.output.json)  # no search is lost to a path that can't be written
    if flags.client.repeat != 1:
        raise UsageError("a search repeats by itself; leave out --repeat")
    if flags.client.cluster is not None:
        raise UsageError("a search is this host's alone; leave out --cluster, and run the load there at a few sizes")
    if flags.client.probe:
        raise UsageError("a search makes no probes; leave out --probe, and run the load at one number")
    return flags.options(target)
