"""What a run says in numbers: each figure by name, with its unit and which way is an improvement."""

from __future__ import annotations

import errno as numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from estab.phases import OWN_CODES, PHASES
from estab.records import Percentiles, RunResult
from estab.records.comparison import Better, Unit
from estab.records.failure import GAVE_UP

Value = float | None
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
LATENCIES = ("connect", "request")


@dataclass(frozen=True)
class Kind:
    """A figure: its name as --fail-on writes it, its unit, which way is better, and how it is read from a run."""

    name: str
    unit: Unit
    better: Better | None
    read: Callable[[RunResult], Value]


def failures(run: RunResult, phase: str | None = None, errno: str | None = None) -> float:
    """Failures of a run, of one phase, of one errno, or all."""
    wanted = (failure for failure in run.failures if phase in (None, failure.phase) and errno in (None, failure.errno))
    return sum(failure.count for failure in wanted)


def _requests_per_s(run: RunResult) -> Value:
    return run.requests.per_second if run.requests else None


def _bytes_per_s(run: RunResult) -> Value:
    asked = run.requests
    return asked.bytes / asked.seconds if asked and asked.seconds else None


def _connects_per_s(run: RunResult) -> Value:
    """Only where connecting goes on throughout: elsewhere it would measure how long the run was."""
    return run.funnel.connected / run.load_s if run.command == "churn" and run.load_s > 0 else None


def _late(run: RunResult) -> Value:
    return run.retransmitted if run.syn_retransmits else None


def _delta(name: str) -> Callable[[RunResult], Value]:
    """A counter of the server's namespace."""
    return lambda run: run.server.rose(name)


def _percentile(latency: str, field: str) -> Callable[[RunResult], Value]:
    return lambda run: getattr(distribution(run, latency), field, None)


def distribution(run: RunResult, latency: str) -> Percentiles | None:
    """The connect or the request latency; None where there is none."""
    percentiles = run.latency.request_us if latency == "request" else run.latency.connect_us
    return percentiles if percentiles is not None and percentiles.count else None


FUNNEL = (
    Kind("attempted", "count", None, lambda run: run.funnel.attempted),
    Kind("connected", "count", "higher", lambda run: run.funnel.connected),
    Kind("accepted", "count", "higher", lambda run: run.funnel.accepted),
    Kind("first_byte", "count", "higher", lambda run: run.funnel.first_byte if run.requests else None),
    Kind("completed", "count", "higher", lambda run: run.funnel.completed),
)
FAILED = Kind("failures", "count", "lower", failures)
SEEN = (
    Kind("late", "count", "lower", _late),
    Kind("ghosts", "count", "lower", lambda run: run.ghosts.count if run.ghosts else None),
    Kind("queue_depth", "count", "lower", lambda run: run.server.listener.worst_depth if run.server.listener else None),
    Kind("listener_drops", "count", "lower", lambda run: run.server.listener.drops if run.server.listener else None),
    Kind("listen_overflows", "count", "lower", _delta("TcpExt.ListenOverflows")),
)
RATES = (
    Kind("throughput", "per_second", "higher", _requests_per_s),
    Kind("bytes_per_s", "bytes_per_second", "higher", _bytes_per_s),
    Kind("connects_per_s", "per_second", "higher", _connects_per_s),
)
TIMES = tuple(
    Kind(f"{latency}.{field}", "us", "lower", _percentile(latency, field))
    for latency in LATENCIES
    for field in (*QUANTILES, "mean", "max")
)
KNOWN = {kind.name: kind for kind in (*FUNNEL, FAILED, *SEEN, *RATES, *TIMES)}
CODES = frozenset({*numbers.errorcode.values(), *OWN_CODES, GAVE_UP})


def failure_kind(name: str) -> Kind | None:
    """The figure that `failures.PHASE`, `failures.ERRNO` or `failures.PHASE.ERRNO` names; None where it names none."""
    first, *rest = name.split(".")
    if first != "failures" or len(rest) not in (1, 2):
        return None
    phase = rest[0] if rest[0] in PHASES else None
    if phase is None and len(rest) == 2:
        return None
    errno = rest[-1] if phase is None or len(rest) == 2 else None
    if errno is not None and errno not in CODES and not _is_status(errno):
        return None
    return Kind(name, "count", "lower", lambda run: failures(run, phase, errno))


def _is_status(text: str) -> bool:
    """Whether it can be a status of HTTP, which a failure at status has in place of an errno."""
    return len(text) == 3 and text.isascii() and text.isdigit()


def failures_of(runs: Iterable[RunResult]) -> list[Kind]:
    """A figure for each phase and errno that occurs in `runs`, the most frequent first."""
    total: dict[str, int] = {}
    for run in runs:
        for failure in run.failures:
            name = f"failures.{failure.phase}.{failure.errno}"
            total[name] = total.get(name, 0) + failure.count
    ordered = sorted(total, key=lambda name: (-total[name], name))
    return [kind for kind in map(failure_kind, ordered) if kind is not None]


def kinds_for(runs: Sequence[RunResult]) -> list[Kind]:
    """Every figure that at least one of `runs` has, in the order of a connection's life."""
    kinds = [*FUNNEL, FAILED, *failures_of(runs), *SEEN, *RATES, *TIMES]
    return [kind for kind in kinds if any(kind.read(run) is not None for run in runs)]
