"""Did a change make the server slower? Five runs of each side, and a gate that noise alone does not fire.

    python examples/is_it_slower.py [BEFORE AFTER]

BEFORE and AFTER are HOST:PORT of echo servers. Without them, two embedded servers that are alike are compared.
"""

from __future__ import annotations

import sys

import estab

RUNS = 5
GATE = "p99>+200%,throughput<-50%,failures>0,cause"


def measure(target: str | None) -> list[estab.RunResult]:
    """Several short runs alike: one alone can't tell a change from noise."""
    return [estab.bench(target, connections=20, duration_s=0.3) for _ in range(RUNS)]


def main() -> int:
    """Print what differs beyond noise and what the gate says. 1 where it fires."""
    before, after = sys.argv[1:3] if len(sys.argv) > 2 else (None, None)
    found = estab.compare(measure(before), measure(after), fail_on=GATE)
    for figure in found.figures:
        if figure.noise == "beyond" and figure.change is not None:
            print(f"{figure.name} changed by {figure.change:+.1%} (p {figure.p:.2g})")
    for note in found.notes:
        print(note)
    for term in found.gate:
        print(f"{'FAILS ' if term.fired else 'passes'} {term.term}: {term.reason}")
    return 1 if any(term.fired for term in found.gate) else 0


if __name__ == "__main__":
    sys.exit(main())
