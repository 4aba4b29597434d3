"""The grammar of --fail-on, and what its terms say of a comparison.

    spec   = term { "," term }
    term   = "cause" | figure op bound
    op     = ">" | ">=" | "<" | "<="
    bound  = ("+" | "-") number "%"          B's change from A, in percent
           | ("+" | "-") number [ unit ]     B minus A
           | number [ unit ]                 B itself
    unit   = "us" | "ms" | "s"  for latencies;  "k" | "M"  for counts and rates
    figure = a name of `figures.KNOWN`; p50 p90 p99 p999 mean max for the request's latency, or the connect's where
             nothing was asked; failures.PHASE, failures.ERRNO, failures.PHASE.ERRNO

Spaces may stand between the parts. Every fault raises UsageError with its column, counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from estab.compare.alike import cause
from estab.compare.figures import KNOWN, QUANTILES, Kind, distribution, failure_kind
from estab.errors import UsageError
from estab.records import RunResult
from estab.records.comparison import Figure, GateTerm

Against = Literal["itself", "difference", "percent"]
SHORT = (*QUANTILES, "mean", "max")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_OPERATOR = re.compile(r"[<>]=?")
_BOUND = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)\s*(%|[A-Za-z]*)")
_TIMES = {"us": 1.0, "ms": 1e3, "s": 1e6, "": 1.0}
_COUNTS = {"": 1.0, "k": 1e3, "M": 1e6}


@dataclass(frozen=True)
class Term:
    """One parsed term. `column` is where it stands in the text, from 1. `kind` is the figure where it is always there.

    `bound` is in the figure's unit, or in percent. The term "cause" has no operator.
    """

    text: str
    column: int
    name: str
    operator: str = ""
    bound: float = 0.0
    against: Against = "itself"
    kind: Kind | None = None

    @property
    def relative(self) -> bool:
        """Whether it asks for a change from A, so that noise matters."""
        return self.against != "itself"


def parse(text: str) -> list[Term]:
    """The terms of a --fail-on text. Raises UsageError with the column of the first fault."""
    terms, at = [], 0
    for part in text.split(","):
        start = at + len(part) - len(part.lstrip())
        if not part.strip():
            raise _fault(text, start, "a term is missing; write p99>+10%, failures>0 or cause")
        terms.append(_term(text, part.strip(), start))
        at += len(part) + 1
    return terms


def _fault(text: str, at: int, why: str) -> UsageError:
    return UsageError(f"`fail_on` {text!r}, column {at + 1}: {why}")


def _term(text: str, part: str, start: int) -> Term:
    named = _NAME.match(part)
    if named is None:
        raise _fault(text, start, f"{part!r} does not begin with a figure's name, as p99 or failures")
    name = named[0]
    rest = part[named.end() :].lstrip()
    at = start + len(part) - len(rest)
    if name == "cause":
        if rest:
            raise _fault(text, at, f"cause stands alone, {rest!r} is too much")
        return Term(text=part, column=start + 1, name=name)
    kind = _kind(text, name, start)
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise _fault(text, at, f"{name} wants > >= < or <= and a bound, as {name}>{'0' if _counts(kind) else '+10%'}")
    bound_text = rest[operator.end() :].lstrip()
    bound, against = _bound(text, bound_text, start + len(part) - len(bound_text), kind)
    extra = kind if name.startswith("failures.") else None
    return Term(part, start + 1, name, operator[0], bound, against, extra)


def _counts(kind: Kind) -> bool:
    return kind.unit == "count"


def _kind(text: str, name: str, at: int) -> Kind:
    """The figure that a name stands for; for `p99` alone that of the request, whose unit the connect's shares."""
    kind = KNOWN.get(f"request.{name}" if name in SHORT else name) or failure_kind(name)
    if kind is None:
        there = [*KNOWN, *SHORT, "cause"]
        near = get_close_matches(name, there, n=1)
        meant = f"did you mean {near[0]}?" if near else f"it can be {', '.join([*SHORT, *KNOWN, 'cause'])}"
        raise _fault(text, at, f"{name!r} is no figure; {meant}")
    return kind


def _bound(text: str, said: str, at: int, kind: Kind) -> tuple[float, Against]:
    match = _BOUND.match(said)
    if match is None:
        what = f"{said!r} is no bound" if said else "the bound is missing"
        raise _fault(text, at, f"{what}; write +10%, -5% or {'5ms' if kind.unit == 'us' else '100'}")
    if match.end() != len(said):
        raise _fault(text, at + match.end(), f"{said[match.end() :]!r} is too much; terms are parted by commas")
    sign, number, unit = match.groups()
    value = float(sign + number)
    if unit == "%":
        if not sign:
            raise _fault(text, at, f"{said!r} has no sign; +{said} is an increase, -{said} a decrease")
        return value, "percent"
    units = _TIMES if kind.unit == "us" else _COUNTS
    if unit not in units:
        known = ", ".join(filter(None, units))
        raise _fault(text, at + match.start(3), f"{unit!r} is no unit of {kind.name}; it can be % or {known}")
    return value * units[unit], "difference" if sign else "itself"


# What a term says --------------------------------------------------------------------------------------------------


def judge(
    term: Term, figures: Mapping[str, Figure], sides: tuple[Sequence[RunResult], Sequence[RunResult]], *, strict: bool
) -> GateTerm:
    """Whether the term fires, and why. Raises UsageError where the runs do not have what it asks for."""
    if term.name == "cause":
        return _cause(term, *sides)
    measured = figures.get(_full_name(term.name, [*sides[0], *sides[1]]))
    if measured is None or measured.b is None or (term.relative and measured.a is None):
        raise UsageError(f"`fail_on`, column {term.column}: {_missing(term, measured)}; leave {term.text!r} out")
    if not term.relative:
        return _absolute(term, measured)
    return _relative(term, measured, strict)


def _full_name(name: str, runs: Sequence[RunResult]) -> str:
    if name not in SHORT:
        return name
    asked = all(distribution(run, "request") for run in runs)
    return f"{'request' if asked else 'connect'}.{name}"


def _missing(term: Term, measured: Figure | None) -> str:
    who = "neither side has" if measured is None or (measured.a is None and measured.b is None) else "one side has not"
    return f"{who} the figure {term.name} (not measured by this command, or not observed)"


def _cause(term: Term, a: Sequence[RunResult], b: Sequence[RunResult]) -> GateTerm:
    before, after = {cause(run) for run in a}, {cause(run) for run in b}
    if "?" in after:
        raise UsageError(f"`fail_on`, column {term.column}: a run of B was not judged; estab diagnose judges it")
    new = sorted(after - before - {""})
    if not new:
        return GateTerm(term=term.text, fired=False, reason="no cause in B that A does not have")
    runs = sum(cause(run) in new for run in b)
    where = "" if len(b) == 1 else f" in {runs} of {len(b)} runs"
    return GateTerm(term=term.text, fired=True, reason=f"B fails by {' and '.join(new)}{where}, A does not")


def _holds(value: float, operator: str, bound: float) -> bool:
    match operator:
        case ">":
            return value > bound
        case ">=":
            return value >= bound
        case "<":
            return value < bound
    return value <= bound


def _absolute(term: Term, measured: Figure) -> GateTerm:
    """Of counts the run of B that is worst for the term decides, of rates and latencies B's median."""
    known = [value for value in measured.b_runs if value is not None]
    worst = measured.unit == "count" and len(known) > 1
    value = (max(known) if ">" in term.operator else min(known)) if worst else measured.b or 0.0
    fired = _holds(value, term.operator, term.bound)
    said = f"{_name(measured)}{' in the worst run of B' if worst else ' in B'}: {amount(measured, value)}"
    return GateTerm(term=term.text, fired=fired, reason=said)


def _relative(term: Term, measured: Figure, strict: bool) -> GateTerm:
    a, b = measured.a or 0.0, measured.b or 0.0
    if term.against == "percent" and a == 0:
        # No percentage of nothing: any rise is beyond each positive bound, and no change is 0 %.
        value = 0.0 if b == 0 else float("inf")
    else:
        value = (b - a) / a * 100 if term.against == "percent" else b - a
    reached = _holds(value, term.operator, term.bound)
    drowned = reached and not strict and measured.noise in ("within", "same")
    change = "" if a == 0 else f" ({(b - a) / a:+.1%})"
    said = f"{_name(measured)} went from {amount(measured, a)} to {amount(measured, b)}{change}"
    return GateTerm(term=term.text, fired=reached and not drowned, reason=said + _beside(measured, reached, drowned))


def _beside(measured: Figure, reached: bool, drowned: bool) -> str:
    """What noise says about a change that reaches the bound."""
    if not reached:
        return ""
    if drowned:
        return f", within the noise of the runs (p {measured.p:.2g}): does not count without --strict"
    if measured.noise == "unknown":
        return ", one run can't tell noise"
    return f", p {measured.p:.2g}" if measured.p is not None else ""


def _name(measured: Figure) -> str:
    return measured.name.replace("_", " ").replace(".", " ")


def amount(measured: Figure, value: float) -> str:
    """A value with its unit, as reasons say it."""
    if measured.unit == "us":
        return f"{value:,.0f} us" if value >= 100 else f"{value:.3g} us"
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return text + {"per_second": "/s", "bytes_per_second": " bytes/s"}.get(measured.unit, "")
