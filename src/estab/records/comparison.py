"""`Comparison`: two samples of runs side by side, what differs, whether it is more than noise, and what a gate said."""

from __future__ import annotations

from typing import Literal

from estab.records.base import Record

COMPARISON_SCHEMA = "estab.comparison/1"

Better = Literal["higher", "lower"]
Noise = Literal["same", "beyond", "separated", "within", "unknown"]
Unit = Literal["count", "per_second", "bytes_per_second", "us"]


class ComparedRuns(Record, frozen=True, kw_only=True):
    """One side: the runs of one file or directory, or those that were handed over.

    `causes` counts its runs by the judge's cause; "" stands for none, "?" for runs that were not judged.
    """

    name: str
    runs: int
    command: str
    files: list[str] = []
    causes: dict[str, int] = {}


class Pooled(Record, frozen=True, kw_only=True):
    """A percentile over all values of a side's runs together (histograms merged exactly), in microseconds.

    `low` and `high` bound the true percentile with 95% confidence as far as sampling goes: the order statistics of a
    binomial count. Values that depend on each other make the true interval wider. None where there are too few values.
    """

    value: float
    low: float | None = None
    high: float | None = None
    count: int = 0


class Figure(Record, frozen=True, kw_only=True):
    """One figure of both sides. `a` and `b` are medians over the runs, `a_runs` and `b_runs` each run's own value.

    `change` is (b - a) / a, None where a is 0 or either is unknown. `low` and `high` bound it with 95% (bootstrap of
    the ratio of medians). `p` is the two-sided Mann-Whitney probability of a difference as great by chance.

    `noise`: "same" (all runs gave one value), "beyond" (p is at most alpha), "separated" (too few runs for alpha, yet
    not one of A lies among those of B), "within" (not told apart), "unknown" (a side has one run, or the figure is
    missing in some). `better`: which way is an improvement; None: neither.
    """

    name: str
    unit: Unit
    better: Better | None = None
    a: float | None = None
    b: float | None = None
    a_runs: list[float | None] = []
    b_runs: list[float | None] = []
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    noise: Noise = "unknown"
    a_all: Pooled | None = None
    b_all: Pooled | None = None


class Difference(Record, frozen=True, kw_only=True):
    """Something that was not alike in what was asked or where: `what` is a key of `config`, or command, kernel, ..."""

    what: str
    a: str
    b: str


class GateTerm(Record, frozen=True, kw_only=True):
    """One term of --fail-on: as it was written, whether it fired, and why in one sentence."""

    term: str
    fired: bool
    reason: str


class Comparison(Record, frozen=True, kw_only=True):
    """What `estab compare` found. `alpha` is the probability below which a difference counts as more than noise.

    `notes` say in words what bounds the answer: too few runs, interrupted ones, sides that are not alike.
    """

    schema: str = COMPARISON_SCHEMA
    a: ComparedRuns
    b: ComparedRuns
    alpha: float
    figures: list[Figure] = []
    differences: list[Difference] = []
    notes: list[str] = []
    gate: list[GateTerm] = []
    estab_version: str | None = None
