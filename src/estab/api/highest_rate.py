"""`find_rate`: the highest rate that a server answers within a bound."""

from __future__ import annotations

from collections.abc import Callable

from estab.api.bench import BenchRequest
from estab.api.ceiling import check_searchable
from estab.api.execute import execute
from estab.api.recorder import ProgressCallback
from estab.api.request import DEFAULT_OPTIONS, Arrivals, LoadOptions
from estab.errors import UsageError
from estab.kernel.formats import first_bytes, hdr
from estab.load.conductor import Stop
from estab.load.search import RateSearch
from estab.records import RunResult
from estab.records.search import HighestRate, RateStep
from estab.words import plural

REACHED = 0.98  # of what was due
FEWEST_DUE = 3  # in one attempt: where nothing is due, nothing is learned of the server
OURS = "generator_saturated"

StepCallback = Callable[[RateStep], None]


def find_rate(
    target: str | None = None,
    *,
    bound_s: float,
    percentile: float = 99.0,
    first_per_s: float = 1_000.0,
    connections: int = 100,
    duration_s: float = 2.0,
    size_bytes: int | None = None,
    http: str | None = None,
    request: bytes | None = None,
    until: bytes | None = None,
    reply_bytes: int | None = None,
    until_close: bool = False,
    arrivals: Arrivals = "poisson",
    options: LoadOptions = DEFAULT_OPTIONS,
    stop: Stop | None = None,
    progress: ProgressCallback | None = None,
    stepped: StepCallback | None = None,
) -> HighestRate:
    """The highest rate of an open loop at which `percentile` of the latency is at most `bound_s`, within 5%.

    Each attempt asks for `duration_s` seconds; the rate doubles from `first_per_s` until one is not good, then closes
    in, and the best is tried once more. A rate is good if nothing failed, what was due was sent and answered, our own
    workers were on time, and the latency kept to the bound. `stepped` is told of each attempt. The other arguments are
    those of `bench`. Raises as it does.
    """
    check_searchable(options)
    if not 0 < percentile <= 100:
        raise UsageError(f"`percentile` is {percentile:g}, out of range (above 0, at most 100)")
    if not 0 < bound_s <= 3600:
        raise UsageError(f"`bound_s` is {bound_s:g}, out of range (above 0, at most 3,600 seconds)")
    asked = BenchRequest(
        connections=connections,
        duration_s=duration_s,
        size_bytes=size_bytes,
        http=http,
        request=request,
        until=until,
        reply_bytes=reply_bytes,
        until_close=until_close,
        mode="rate",
        rate_per_s=first_per_s,
        arrivals=arrivals,
    )
    search = RateSearch(first_per_s, least=FEWEST_DUE / max(duration_s, 0.001))  # 0 is for `bench` to refuse
    steps: list[RateStep] = []
    highest = HighestRate(target=target or "embedded server", percentile=percentile, bound_us=bound_s * 1e6)
    while (rate := search.next()) is not None:
        run = execute(asked.replace(rate_per_s=rate), target, options, stop=stop, progress=progress)
        if run.interrupted:
            highest = highest.replace(interrupted=True)
            break
        if (wrong := run.no_echo or run.no_http) is not None and wrong.first_bytes is not None:
            said, expected = first_bytes.words(wrong.first_bytes), "echo" if run.no_echo else "HTTP"
            raise UsageError(f"{run.config['target']} is no {expected} server, and the search asks for that; {said}")
        step = _step(run, rate, percentile, bound_s * 1e6)
        search.tried(rate, good=step.why is None)
        steps.append(step)
        if stepped is not None:
            stepped(step)
    worst = min((step for step in steps if step.why), key=lambda step: step.rate_per_s, default=None)
    ours = worst is not None and worst.generator_bound
    return highest.replace(steps=steps, rate_per_s=search.best, confirmed=search.confirmed, generator_bound=ours)


def at_percentile(run: RunResult, percentile: float) -> float | None:
    """The request latency at `percentile`, in microseconds; None where nothing was answered."""
    latency = run.latency.request_us
    if latency is None or latency.hdr_ns is None:
        return None
    return hdr.values_at(hdr.decode(latency.hdr_ns), [percentile])[0] / 1e3


def _step(run: RunResult, rate: float, percentile: float, bound_us: float) -> RateStep:
    reached = run.requests.per_second if run.requests else None
    latency = at_percentile(run, percentile)
    why = _why_not(run, latency, bound_us)
    return RateStep(
        rate_per_s=rate,
        reached_per_s=reached,
        latency_us=latency,
        seconds=run.elapsed_s,
        why=why,
        generator_bound=run.cause == OURS,
    )


def _why_not(run: RunResult, latency_us: float | None, bound_us: float) -> str | None:
    if run.cause == OURS:
        return f"{OURS}: our own workers were late"
    if run.lost_workers:
        return f"a worker of ours {run.lost_workers[0].lost}: this tells nothing of the server"
    if run.failures:
        total = sum(failure.count for failure in run.failures)
        return f"{plural(total, 'failure')} ({run.cause or run.failures[0].kind.words})"
    loop, answered = run.open_loop, run.requests.count if run.requests else 0
    if loop is None or latency_us is None:
        return "nothing was answered" if loop is None or loop.scheduled else "nothing was due in that time"
    if answered < REACHED * loop.scheduled:
        return f"only {answered:,} of {loop.scheduled:,} due were answered"
    return None if latency_us <= bound_us else "over the bound"
