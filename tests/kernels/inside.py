"""`python -m tests.kernels.inside FILE --rules --scenario NAME …`: what runs in a guest.

Each thing that is known is a line of JSON in FILE at once, so that a guest that is lost loses no more: the kernel, a
test of the rules, a scenario. `read_lines` reads them on the other side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.kernels import recorder
from tests.kernels.recorder import say

from estab.kernel.rules import kernel_version
from estab.lab.run.session import lab
from estab.observe import host

RULES = Path("tests/kernel/rules")
_MONOTONIC_COARSE = 6  # include/uapi/linux/time.h: its resolution is one tick
_ATTEMPTS = 2  # of a scenario that differs: a slow guest may be late once


def main() -> None:
    asked = _arguments()
    say(asked.file, {"kernel": facts()})
    if asked.rules is not None:
        ask_rules(Path(asked.file), asked.rules)
    for name in asked.scenario:
        say(asked.file, {"scenario": play(name)})


def ask_rules(file: Path, more: Sequence[str]) -> None:
    """The tests that ask the running kernel, chosen by `more` arguments of pytest; its plugins are not needed."""
    options = ("-p", "xdist.plugin", "-q", "-m", "namespace", "-p", "no:cacheprovider", "-p", recorder.__name__, *more)
    environment = os.environ | {recorder.FILE: str(file), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # Only what asks: each other file would be imported for nothing, which is dear in a guest.
    asking = [str(path) for path in sorted(RULES.glob("test_*.py")) if "mark.namespace" in path.read_text("utf-8")]
    before = file.stat().st_size
    subprocess.run([sys.executable, "-m", "pytest", *asking, *options], env=environment, check=False)
    if file.stat().st_size == before:
        sys.exit("no test of the rules ran")


def facts() -> dict[str, Any]:
    """Which kernel this is."""
    version = kernel_version.of(host.facts())
    return {
        "version": f"{version.major}.{version.minor}" + ("" if version.patch is None else f".{version.patch}"),
        "release": os.uname().release,
        "build": os.uname().version,
        "hz": round(1 / time.clock_getres(_MONOTONIC_COARSE)),
    }


def play(name: str) -> dict[str, Any]:
    """One scenario: its status, and what differs or why it can't run."""
    began, attempts = time.monotonic(), 0
    done = None
    while done is None or (done.status in ("differs", "failed") and attempts < _ATTEMPTS):
        attempts += 1
        done = lab([name], gauge=False, jobs=1).scenarios[0]
    figures = (f"{row.what}: predicted {row.predicted}, measured {row.measured}" for row in done.rows if not row.agrees)
    remedies = (
        f"{remedy.command}: said to {'work' if remedy.claimed else 'do nothing'}, {remedy.text}"
        for remedy in done.remedies
        if remedy.works not in (None, remedy.claimed)
    )
    verdict = [] if done.cause == done.expected else [f"verdict {done.cause}, expected {done.expected}"]
    accused = [f"in the control: {cause}" for cause in done.accused_in_control]
    differing = [*figures, *verdict, *remedies, *accused]
    why = done.why or ("" if done.status == "as_predicted" else "; ".join(differing))
    return {"name": name, "status": done.status, "why": why, "attempts": attempts, "seconds": time.monotonic() - began}


def read_lines(text: str) -> Iterator[dict[str, Any]]:
    """What was written; a line that was cut off is none."""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def command(file: Path, rules: Sequence[str] | None, scenarios: Sequence[str]) -> list[str]:
    """What starts it; `rules` None: none of them, else further arguments of pytest."""
    chosen = [argument for name in scenarios for argument in ("--scenario", name)]
    of_rules = [] if rules is None else ["--rules", *rules]
    return [sys.executable, "-m", "tests.kernels.inside", str(file), *chosen, *of_rules]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kernels.inside", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--scenario", action="append", default=[])
    parser.add_argument("--rules", nargs=argparse.REMAINDER)
    return parser.parse_args()


if __name__ == "__main__":
    main()
