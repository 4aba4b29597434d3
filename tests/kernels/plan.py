"""What is asked of which kernel, in which parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.kernels.catalogue import CLOUD, HOST, Kernel
from tests.kernels.runs import Part

from estab.lab.parts.scenario import find, names

# Without --all: scenarios that rest on rules which changed with a version. Emulation is dear: fewer. All of it together
# takes some 20 minutes of CPU, which two processors have in less than 15.
USUAL = ("abort_on_overflow", "backlog_plus_one", "bound_ports_poisoned", "cookie_reset", "nobody_listening")
DEAR = ("backlog_plus_one", "cookie_reset")
_RULES_S = 600.0
_SCENARIO_S = 60.0  # the longest that one is given, for each of its own seconds at the least 10
_PARTS = 2  # in how many the scenarios of a kernel are cut


def plan(
    kernels: Iterable[Kernel], *, rules: str | None, scenarios: Sequence[str] | None, everything: bool
) -> list[Part]:
    """The parts, the longest first. Without `rules` (a pattern of pytest -k) and `scenarios`: both, all."""
    parts = []
    for kernel in kernels:
        if rules is not None or not scenarios:
            chosen = ("-k", rules) if rules else ()
            parts.append(Part(kernel, chosen, (), _RULES_S * _times(kernel)))
        if scenarios or rules is None:
            few = DEAR if kernel.kind == CLOUD else USUAL
            parts += _of_scenarios(kernel, scenarios or (names() if everything else few))
    return sorted(parts, key=lambda part: -part.seconds)


def _of_scenarios(kernel: Kernel, chosen: Sequence[str]) -> list[Part]:
    """In parts that take about the same time."""
    by_length = sorted(chosen, key=lambda name: -find(name).seconds)
    dealt = [tuple(by_length[first::_PARTS]) for first in range(_PARTS)]
    return [Part(kernel, None, part, _at_most(part) * _times(kernel)) for part in dealt if part]


def _at_most(scenarios: Iterable[str]) -> float:
    return sum(_SCENARIO_S + 10 * find(name).seconds for name in scenarios)


def _times(kernel: Kernel) -> float:
    """An emulated instruction takes many of this machine."""
    return {CLOUD: 3.0, HOST: 1.0}.get(kernel.kind, 1.5)
