"""Which limit is it? A server that accepts too slowly, 200 clients at once, and the judge's answer.

    python examples/name_the_limit.py [HOST:PORT]

Without an address it brings its own server: a backlog of 16, one accept every 50 ms.
"""

from __future__ import annotations

import sys

import estab


def main() -> int:
    """Hold 200 connections for a second and print the verdict. 1 where a limit was met."""
    target = sys.argv[1] if len(sys.argv) > 1 else None
    slow = estab.Service("echo", backlog=16, accept_delay_s=0.05)
    run = estab.hold(target, connections=200, duration_s=1, options=estab.LoadOptions(service=slow))

    print(f"{run.funnel.connected} of {run.funnel.attempted} connected")
    for failure in run.failures:
        print(f"{failure.count} times {failure.errno} at {failure.phase}, as {failure.example}")

    diagnosis = run.diagnosis
    assert diagnosis is not None  # hold() has every run judged; a record from a file need not be
    print(f"cause: {diagnosis.cause or 'none'}. {diagnosis.summary}")
    for suspect in diagnosis.suspects:
        if suspect.cause == diagnosis.cause:
            for fact in suspect.evidence:
                print(f"  {fact.source}: {fact.text}")
            for remedy in suspect.remedies:
                print(f"  {'do' if remedy.works else 'in vain'}: {remedy.command}")
    return 0 if diagnosis.cause is None else 1


if __name__ == "__main__":
    sys.exit(main())
