"""What the blocks of a finished run say, as records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from estab.kernel.formats import first_bytes, hdr
from estab.load import fleet as fleets
from estab.load.block import CONNECT_NS_AT, REQUEST_NS_AT, STALL_WORDS, Block, hdr_index, hdr_value
from estab.load.exchange import HTTP
from estab.load.fleet import Fleet, WorkerProcess
from estab.load.plan import ClientLoad
from estab.records import (
    ArrivalOrder,
    ErrorOrder,
    Failure,
    Funnel,
    IdleGap,
    Latency,
    OpenLoop,
    Percentiles,
    Requests,
    Stall,
    Stalls,
    Visitors,
    Worker,
)
from estab.records.failure import by_kind

NS_PER_S = 1_000_000_000
NS_PER_US = 1_000.0
CPU_WINDOW_NS = 500_000_000
_COUNTED_OF_GAPS = ("rested", "answered", "closed", "reset", "silent", "wrong", "unasked", "unacknowledged")
_TIMES_OF_ENDS = ("least", "most", "first", "last")


def funnel(totals: dict[str, int], accepted: int | None) -> Funnel:
    """The funnel of a run's totals; `accepted` is the server's word."""
    return Funnel(
        attempted=totals["attempted"],
        connected=totals["connected"],
        accepted=accepted,
        first_byte=totals["first_byte"],
        completed=totals["completed"],
    )


def failures(blocks: Iterable[Block]) -> list[Failure]:
    """All failures by phase and errno, most frequent first; first time and example are the earliest of its kind."""
    return by_kind(
        Failure(
            phase=counted.phase,
            errno=counted.errno,
            count=counted.count,
            first_s=counted.first_ns / NS_PER_S,
            last_s=counted.last_ns / NS_PER_S,
            example=counted.example or None,
            first_bytes=first_bytes.text(counted.reply) if counted.reply else None,
        )
        for block in blocks
        for counted in block.failures()
    )


def error_orders(blocks: Iterable[Block]) -> list[ErrorOrder]:
    """What one more write and one more read gave after the first error, most frequent first."""
    total: Counter[tuple[str, ...]] = Counter()
    for block in blocks:
        total.update(block.error_orders())
    return [ErrorOrder(order=list(order), count=count) for order, count in total.most_common()]


def arrival_order(blocks: Iterable[Block]) -> ArrivalOrder | None:
    """Whether those that stayed had come first; None where none stayed, none failed, or the load keeps none.

    In a process the connects are ranked by their beginning from 0. Of E that failed, whose ranks add up to R, and those
    that stayed, R - E(E-1)/2 pairs are in order (the statistic U of Mann and Whitney, 1947).
    """
    stayed = failed = pairs = in_order = 0
    for counts in (block.counts() for block in blocks):
        stays, fails = counts["stayed"], counts["failed_before_end"]
        stayed, failed, pairs = stayed + stays, failed + fails, pairs + stays * fails
        # Connects under way at the end are neither, and have ranks: they come last.
        in_order += min(stays * fails, counts["failed_ranks"] - fails * (fails - 1) // 2)
    return ArrivalOrder(stayed=stayed, failed=failed, pairs=pairs, in_order=in_order) if pairs else None


def percentiles(counts: Counter[int], total_ns: int, most_ns: int) -> Percentiles | None:
    """The distribution of values (ns) and their counts; None where there are none. Exact mean and maximum."""
    n = counts.total()
    if n == 0:
        return None
    buckets: Counter[int] = Counter()
    for value, count in counts.items():
        buckets[hdr_index(max(value, 1))] += count
    histogram = hdr.of(buckets)
    values = hdr.values_at(histogram, (50, 90, 99, 99.9), buckets)
    p50, p90, p99, p999 = (round(min(value, most_ns) / NS_PER_US, 3) for value in values)
    return Percentiles(
        count=n,
        mean=round(total_ns / n / NS_PER_US, 3),
        p50=p50,
        p90=p90,
        p99=p99,
        p999=p999,
        max=round(most_ns / NS_PER_US, 3),
        hdr_ns=histogram.encode().decode("ascii"),
    )


def latency(blocks: Sequence[Block], totals: dict[str, int]) -> Latency:
    """Connect and request latency over all blocks, merged exactly."""

    def merged(at: int) -> Counter[int]:
        counts: Counter[int] = Counter()
        for block in blocks:
            with block.histogram_view(at) as words:
                counts.update({hdr_value(index): count for index, count in hdr.filled(words).items()})
        return counts

    return Latency(
        connect_us=percentiles(merged(CONNECT_NS_AT), totals["connect_sum_ns"], totals["connect_max_ns"]),
        request_us=percentiles(merged(REQUEST_NS_AT), totals["request_sum_ns"], totals["request_max_ns"]),
    )


def requests(blocks: Sequence[Block], totals: dict[str, int], load: ClientLoad) -> Requests | None:
    """Requests answered, from the start (of the schedule) to the last answer. None where nothing was asked."""
    exchange = load.exchange
    if not exchange.asks:
        return None
    began = totals["schedule_ns"] or totals["started_ns"]
    seconds = (totals["last_answer_ns"] - began) / NS_PER_S if totals["requests"] else None
    rate = totals["requests"] / seconds if seconds else None
    return Requests(
        count=totals["requests"],
        per_second=rate,
        bytes=totals["bytes_received"],
        seconds=seconds,
        http_status=http_status(blocks) if exchange.reply == HTTP else None,
        renewed=max(0, totals["attempted"] - load.connections) if exchange.renews else None,
    )


def http_status(blocks: Iterable[Block]) -> dict[str, int]:
    """Replies of HTTP by status, the lowest first."""
    total: Counter[int] = Counter()
    for block in blocks:
        total.update(block.http_status())
    return {str(status): total[status] for status in sorted(total)}


def idle_gaps(block: Block, load: ClientLoad) -> list[IdleGap]:
    """What became of the connections of each gap; one process has them all."""
    gaps, many = load.gaps_s, load.connections
    shares = Counter(number * len(gaps) // many for number in range(many) if gaps)
    told = zip(gaps, block.gaps(len(gaps)), strict=True)
    return [_idle_gap(gap_s, shares[number], words) for number, (gap_s, words) in enumerate(told)]


def _idle_gap(gap_s: float, connections: int, words: Mapping[str, int]) -> IdleGap:
    gap = IdleGap(
        gap_s=gap_s,
        connections=connections,
        last_answer_s=round(words["last_answer_ns"] / NS_PER_S, 4) if words["answered"] else None,
        **{name: words[name] for name in _COUNTED_OF_GAPS},
    )
    if not gap.ended:
        return gap
    return gap.replace(**{f"{name}_s": round(words[f"{name}_ns"] / NS_PER_S, 4) for name in _TIMES_OF_ENDS})


def stalls(blocks: Iterable[Block]) -> Stalls | None:
    """The connections that got no answer in time; None where there were none."""
    told = [(block.counts(), block.stalls()) for block in blocks if block.get("stalled")]
    if not told:
        return None
    sample = [_stall(connection, words) for _counts, kept in told for connection, words in kept]
    return Stalls(
        count=sum(counts["stalled"] for counts, _kept in told),
        unacknowledged=sum(counts["unacknowledged"] for counts, _kept in told),
        heard_s=round(max(counts["heard_ns"] for counts, _kept in told) / NS_PER_S, 4),
        sample=sorted(sample, key=lambda stall: stall.at_s),
    )


def _stall(connection: str, words: Mapping[str, int]) -> Stall:
    counted = {name: words[name] for name in STALL_WORDS if not name.endswith("_ns")}
    return Stall(
        connection=connection,
        at_s=_since_start(words["at_ns"]),
        asked_s=_since_start(words["asked_ns"]),
        heard_s=_since_start(words["heard_ns"]),
        received_s=_since_start(words["received_ns"]),
        **counted,
    )


def _since_start(ns: int) -> float:
    return round(ns / NS_PER_S, 4)


def open_loop(totals: dict[str, int], load: ClientLoad) -> OpenLoop | None:
    """How well the schedule was kept; None for a closed loop."""
    if load.rate_per_s is None:
        return None
    return OpenLoop(
        rate_per_s=load.rate_per_s,
        arrivals=load.arrivals,
        scheduled=totals["scheduled"],
        late=totals["late"],
        worst_late_ms=round(totals["worst_late_ns"] / 1e6, 3),
        waited=totals["waited"],
        unsent=totals["unsent"],
    )


def visitors(blocks: Sequence[Block], load: ClientLoad | None) -> Visitors | None:
    """What came and went beside the held connections; None where nobody was to."""
    if load is None:
        return None
    counted = fleets.totals(block.counts() for block in blocks)
    return Visitors(
        funnel=funnel(counted, None),
        failures=failures(blocks),
        open_loop=open_loop(counted, load),
        latency=latency(blocks, counted),
    )


def syn_retransmits(blocks: Iterable[Block]) -> dict[str, int]:
    """Connects by how many SYN retransmits they needed; "15" stands for 15 or more."""
    total: Counter[str] = Counter()
    for block in blocks:
        total.update({str(i): n for i, n in enumerate(block.syn_retransmits()) if n})
    return dict(sorted(total.items(), key=lambda item: int(item[0])))


class WorkerCpuWatch:
    """The busiest half second of each worker, from samples of its CPU clock: a mean over a long hold would hide it."""

    def __init__(self) -> None:
        self.busiest: dict[int, float] = {}
        self._samples: dict[int, list[tuple[int, int]]] = {}

    def look(self, pid: int, now_ns: int, cpu_ns: int) -> None:
        """One sample: the CPU time that the worker had used by `now_ns`."""
        samples = self._samples.setdefault(pid, [])
        samples.append((now_ns, cpu_ns))
        while len(samples) > 2 and now_ns - samples[1][0] >= CPU_WINDOW_NS:
            del samples[0]
        since, used = samples[0]
        if now_ns - since >= CPU_WINDOW_NS:
            share = min(1.0, (cpu_ns - used) / (now_ns - since))
            self.busiest[pid] = max(self.busiest.get(pid, 0.0), share)


@dataclass(frozen=True)
class ProcessFigures:
    """What was seen of the worker processes from outside, by pid."""

    nofile_soft: int | None = None
    cpu: WorkerCpuWatch = field(default_factory=WorkerCpuWatch)
    rss_bytes: Mapping[int, int] = field(default_factory=dict)
    worst_fds: Mapping[int, int] = field(default_factory=dict)
    waited_s: Mapping[int, float] = field(default_factory=dict)


def _worker(worker: WorkerProcess, figures: ProcessFigures) -> Worker:
    counts = worker.block.counts()
    busiest = figures.cpu.busiest.get(worker.pid)
    rss_bytes = figures.rss_bytes.get(worker.pid)
    waited_s = figures.waited_s.get(worker.pid)
    return Worker(
        pid=worker.pid,
        role=worker.role,
        exit=worker.process.returncode,
        attempted=counts["attempted"],
        cpu_s=round(counts["cpu_ns"] / NS_PER_S, 3),
        cpu_fraction=None if busiest is None else round(busiest, 3),
        waited_s=None if waited_s is None else round(waited_s, 3),
        worst_lag_ms=round(counts["worst_lag_ns"] / 1e6, 3),
        nofile_soft=figures.nofile_soft,
        worst_fds=figures.worst_fds.get(worker.pid),
        rss_bytes=rss_bytes,
        lost=worker.lost,
    )


def workers(fleet: Fleet, figures: ProcessFigures) -> list[Worker]:
    """A record for each process."""
    return [_worker(worker, figures) for worker in fleet.workers]
