"""`make test-kernels`: other kernels are booted. Do they do what the rules say?

Prints a table of kernels and rules, and one of kernels and scenarios. Exit code 1 where something
differs, or a kernel can't be had.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from tests.kernels import catalogue, results, table
from tests.kernels.apt import Apt, CannotHave
from tests.kernels.plan import plan
from tests.kernels.runs import Runs

from estab.lab.parts.scenario import names
from estab.words import nearest


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(_arguments())
    except KeyboardInterrupt:
        return 130


def run(asked: argparse.Namespace) -> int:
    """All of it; the exit code."""
    if asked.fetch:
        return _fetch()
    began = time.monotonic()
    apt = Apt(cache())
    try:
        apt.update()
        kernels = _kernels(apt, asked)
    except CannotHave as why:
        print(f"no kernels: {why}", file=sys.stderr)
        return 1
    parts = plan(kernels, rules=asked.rules, scenarios=asked.scenario, everything=asked.all)
    with Runs(apt, cache(), asked.jobs, _tell) as runs:
        came = runs.all(parts)
    took = f"{time.monotonic() - began:.0f} s, {runs.cpu_s:.0f} s of CPU"
    print("\n".join(["", *table.lines(came), took]))
    if asked.keep:
        results.write(results.merged(results.read(), came))
    return 0 if results.as_predicted(came) else 1


def _fetch() -> int:
    """Have the kernel that `make test-long` boots in the cache: the tests themselves have no network."""
    apt = Apt(cache(), (catalogue.OF_THE_TESTS,))
    try:
        apt.update()
        with Runs(apt, cache(), 1, _tell) as runs:
            runs.fetch(catalogue.of_the_tests(apt))
    except CannotHave as why:
        print(f"user-mode-linux of Debian's {catalogue.OF_THE_TESTS} can't be had: {why}", file=sys.stderr)
        return 1
    return 0


def cache() -> Path:
    """Where kernels are kept: they are some hundred megabytes."""
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) / "estab-kernels" if given else Path(__file__).resolve().parents[2] / "build" / "kernels"


def _kernels(apt: Apt, asked: argparse.Namespace) -> list[catalogue.Kernel]:
    if asked.kernel:
        return [catalogue.one(apt, name) for name in asked.kernel]
    there = catalogue.available(apt)
    return there if asked.all else catalogue.usual(there)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kernels", description=__doc__)
    parser.add_argument(
        "--kernel", action="append", metavar="NAME", help="this one: uml-6.1, cloud-6.12, cloud-6.12.43, host"
    )
    parser.add_argument("--scenario", action="append", metavar="NAME", help="this one, and no rules without --rules")
    parser.add_argument("--rules", metavar="PATTERN", help="the rules whose tests match, as pytest -k; no scenarios")
    parser.add_argument("--all", action="store_true", help="every kernel that Debian has, every scenario in each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="guests at the same time (default: cores)")
    parser.add_argument("--fetch", action="store_true", help="only fetch the kernel that make test-long boots")
    parser.add_argument("--keep", action="store_true", help=f"write what came of it into {results.KEPT.name}")
    asked = parser.parse_args()
    for name in asked.scenario or ():
        if name not in names():
            wrong = f"there is no scenario {name!r}{nearest(name, names())} (estab lab list names them)"
            parser.exit(2, f"{parser.prog}: {wrong}\n")
    return asked


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
