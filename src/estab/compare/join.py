"""Two lists of runs -> one `Comparison`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from estab.compare.alike import compared_runs, differences, notes
from estab.compare.bootstrap import ratio_of_medians
from estab.compare.figures import LATENCIES, Kind, kinds_for
from estab.compare.gate import Term, judge
from estab.compare.histograms import all_pooled
from estab.compare.ranks import mann_whitney
from estab.errors import UsageError
from estab.records import RunResult
from estab.records.comparison import Comparison, Figure, Noise, Pooled

ALPHA = 0.05


def compare_runs(
    a: Sequence[RunResult],
    b: Sequence[RunResult],
    *,
    names: tuple[str, str] = ("A", "B"),
    files: tuple[Sequence[str], Sequence[str]] = ((), ()),
    terms: Sequence[Term] = (),
    strict: bool = False,
    alpha: float = ALPHA,
) -> Comparison:
    """What differs between the runs `a` and the runs `b`, and whether a term of the gate fires.

    `alpha` is the probability below which a difference counts as more than noise. `strict`: relative terms count
    differences within noise too. Raises UsageError for a side without a run, an alpha that can't be, and for a term
    that asks for what the runs do not have.
    """
    if not a or not b:
        raise UsageError(f"{names[0] if not a else names[1]} holds no run; a comparison needs one on each side")
    if not 0 < alpha < 1:
        raise UsageError(f"`alpha` is {alpha:g}, out of range (between 0 and 1, as 0.05)")
    kinds = kinds_for([*a, *b])
    together = [_together(list(runs)) for runs in (a, b)]
    figures = [figure(kind, a, b, alpha).replace(**_pooled(kind.name, together)) for kind in kinds]
    extra = [term.kind for term in terms if term.kind is not None]
    measured = {shown.name: shown for shown in figures}
    measured |= {kind.name: figure(kind, a, b, alpha) for kind in extra}
    return Comparison(
        a=compared_runs(names[0], a, files[0]),
        b=compared_runs(names[1], b, files[1]),
        alpha=alpha,
        figures=figures,
        differences=differences(a, b),
        notes=notes(a, b, alpha),
        gate=[judge(term, measured, (a, b), strict=strict) for term in terms],
    )


def _together(runs: list[RunResult]) -> dict[str, Pooled]:
    return {name: value for latency in LATENCIES for name, value in all_pooled(runs, latency).items()}


def _pooled(name: str, together: Sequence[dict[str, Pooled]]) -> dict[str, Pooled | None]:
    return {"a_all": together[0].get(name), "b_all": together[1].get(name)}


def figure(kind: Kind, a: Sequence[RunResult], b: Sequence[RunResult], alpha: float) -> Figure:
    """One figure of both sides, with what can be said of its difference."""
    left, right = [kind.read(run) for run in a], [kind.read(run) for run in b]
    known_a, known_b = _known(left), _known(right)
    at_a, at_b = (median(known) if known else None for known in (known_a, known_b))
    compared = Figure(name=kind.name, unit=kind.unit, better=kind.better, a=at_a, b=at_b, a_runs=left, b_runs=right)
    if at_a is None or at_b is None:
        return compared
    if at_a:
        compared = compared.replace(change=(at_b - at_a) / at_a)
    if min(len(known_a), len(known_b)) < 2 or len(known_a) < len(left) or len(known_b) < len(right):
        return compared
    test = mann_whitney(known_a, known_b)
    bounds = ratio_of_medians(known_a, known_b)
    low, high = (None, None) if bounds is None else (bounds[0] - 1, bounds[1] - 1)
    return compared.replace(low=low, high=high, p=test.p, noise=_noise(known_a, known_b, test.p, test.least_p, alpha))


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _noise(a: Sequence[float], b: Sequence[float], p: float, least_p: float, alpha: float) -> Noise:
    if len({*a, *b}) == 1:
        return "same"
    if p <= alpha:
        return "beyond"
    apart = max(a) < min(b) or max(b) < min(a)
    return "separated" if apart and least_p > alpha else "within"
