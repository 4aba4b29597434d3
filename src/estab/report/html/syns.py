"""The SYN retransmission ladder: what the kernel's rule says, what the run measured, what a capture shows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from estab.kernel.formats.captures import Syn
from estab.kernel.rules import kernel_version, syn_retries, timer_wheel
from estab.kernel.rules.inputs import RuleInputError
from estab.records import RunResult, Snapshot
from estab.report.html.percentiles import histogram
from estab.report.html.table import Cell, PlotTable, table

MOST_RUNGS = 8
MOST_DOTS = 400
_NS = 1e9


@dataclass(frozen=True)
class SynLadder:
    """`rungs`: the rule's time of each SYN and how many connects sent it last. `measured`: answered connects by time.

    `captured`: SYNs of a capture by the time since their flow's first. `gives_up_s`: when a connect ends, by the rule
    or by our own timeout, whichever comes first; `why` says which.
    """

    rungs: PlotTable
    measured: PlotTable
    captured: PlotTable
    gives_up_s: float | None
    why: str


def ladder(run: RunResult, syns: Sequence[Syn] = ()) -> SynLadder:
    """The ladder of a run; `syns` from a capture of it, perhaps none."""
    linear = _linear(run)
    counted = {times: n for times, n in run.connects_by_resent.items() if n}
    captured = _captured(syns, linear)
    ends, why = _end(run, linear)
    highest = max([1, *counted, *(int(k or 0) for k in captured.columns["retransmit"])])
    bands = syn_retries.bands(min(highest, MOST_RUNGS), linear, hz=timer_wheel.hz_of(run.host))
    rows = [
        (band.retransmits, round(band.between_s.low, 6), _high(band.between_s.high), counted.get(band.retransmits, 0))
        for band in bands
    ]
    return SynLadder(
        rungs=table("syn_rule", ("retransmit", "rule_from_s", "rule_to_s", "connects"), rows),
        measured=_measured(run, linear),
        captured=captured,
        gives_up_s=ends,
        why=why,
    )


def is_worth_showing(ladder: SynLadder) -> bool:
    """Whether there is anything to set beside the rule: a connect, or a SYN in a capture."""
    return bool(len(ladder.measured) or len(ladder.captured) or any(ladder.rungs.columns["connects"]))


def _high(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _linear(run: RunResult) -> int:
    """The client's tcp_syn_linear_timeouts; where it was not read, its kernel's default."""
    linear = _sysctl(run.client.before, "net.ipv4.tcp_syn_linear_timeouts")
    if linear is not None and 0 <= linear <= 127:
        return linear
    try:
        return syn_retries.default_linear_timeouts(kernel_version.of(run.host))
    except RuleInputError:
        return 4


def _sysctl(snapshot: Snapshot | None, name: str) -> int | None:
    value = ((snapshot.sysctls if snapshot else None) or {}).get(name)
    return value[0] if isinstance(value, list) and len(value) == 1 else None


def _end(run: RunResult, linear: int) -> tuple[float | None, str]:
    """When a connect that nobody answers ends."""
    own = run.config.get("timeout_s")
    if isinstance(own, int | float) and not isinstance(own, bool) and 0 < own < 3600:
        return float(own), f"--timeout {own:g} s ends a connect"
    retries = _sysctl(run.client.before, "net.ipv4.tcp_syn_retries")
    try:
        return syn_retries.timeline(6 if retries is None else retries, linear).gives_up_s, "ETIMEDOUT"
    except RuleInputError:
        return None, ""


def _measured(run: RunResult, linear: int) -> PlotTable:
    """Answered connects by latency. Neighbours are put together, so that no more than a few hundred are drawn."""
    columns = ("retransmit", "answered_after_s", "connects")
    decoded = histogram(run.latency.connect_us)
    if decoded is None:
        return table("syn_measured", columns, [])
    counts: Counter[float] = Counter()
    for item in decoded.get_recorded_iterator():
        after_s = item.value_iterated_to / _NS
        counts[round(after_s, 3 if after_s >= 0.5 else 4)] += item.count_added_in_this_iter_step
    step = max(1, -(-len(counts) // MOST_DOTS))
    ordered = sorted(counts.items())
    rows: list[tuple[Cell, ...]] = []
    for start in range(0, len(ordered), step):
        part = ordered[start : start + step]
        after_s = max(part, key=lambda pair: pair[1])[0]
        needed = min(syn_retries.retransmits_behind(max(after_s, 0.0), linear), MOST_RUNGS)
        rows.append((needed, after_s, sum(count for _, count in part)))
    return table("syn_measured", columns, rows)


def _captured(syns: Sequence[Syn], linear: int) -> PlotTable:
    """Each SYN of a capture on its rung: the first of its flow is 0. The same millisecond is counted together."""
    first: dict[tuple[str, int, str, int, int], float] = {}
    times: Counter[tuple[str, int, str, int, int]] = Counter()
    rows: Counter[tuple[int, float]] = Counter()
    for syn in sorted(syns, key=lambda syn: syn.at_s):
        flow = (syn.source, syn.source_port, syn.target, syn.target_port, syn.sequence)
        after_s = syn.at_s - first.setdefault(flow, syn.at_s)
        rows[min(times[flow], MOST_RUNGS), round(after_s, 3)] += 1
        times[flow] += 1
    counted = [(k, after_s, count) for (k, after_s), count in sorted(rows.items())]
    return table("syn_captured", ("retransmit", "after_s", "syns"), counted)
