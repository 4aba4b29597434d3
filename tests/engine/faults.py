"""Every call of the engine made to fail in turn: `python -m tests.engine.faults [--all] [--python] [--plain]`.

Prints each case in which something was wrong, and a summary as JSON in the last line. Exit code 0: nothing was.
`--out FILE` writes what each case came to.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.engine import build
from tests.engine.cases import Case, everything, some
from tests.engine.cengine import FaultyC
from tests.engine.checks import problems
from tests.engine.pyfaults import FaultyPython, applies
from tests.engine.rig import MS, Engine, Outcome, run

# Where others have the processor a short load may be over before the call is made: further ones take twice as long.
LOADS_MS = (20, 20, 20, 40, 80, 160, 320, 640)
ENGINE = "ESTAB_FAULTS_ENGINE"  # set for the process that runs under the sanitizers


def _came(outcome: Outcome) -> bool:
    """Whether the call was made that was to fail."""
    return outcome.seen.get("failed", 0) > 0 or outcome.end in ("hung", "died")


def _run(engine: Engine, case: Case) -> Outcome:
    """The case, again where a busy machine let its load end before the call was made."""
    for load_ms in LOADS_MS:
        outcome = run(engine, case, load_ms * MS)
        if _came(outcome):
            break
    return outcome


def run_all(engine: Engine, cases: Iterable[Case], tell: bool) -> tuple[Counter[str], dict[str, Outcome]]:
    """How many cases there were, in how many the call was made, and how they ended; and what came of each."""
    told: Counter[str] = Counter(cases=0, came=0, wrong=0)
    outcomes = {}
    for case in cases:
        outcome = outcomes[str(case)] = _run(engine, case)
        came = _came(outcome)
        found = problems(outcome, case)
        told.update(cases=1, came=int(came), wrong=int(bool(found)), **{outcome.end: 1})
        if found:
            print(f"{case}: {'; '.join(found)}", flush=True)
        elif tell and not came:
            print(f"{case}: no such call", flush=True)
    return told, outcomes


def _write(path: str, outcomes: dict[str, Outcome]) -> None:
    said = {
        case: {"end": one.end, "failures": sorted([*kind, count] for kind, count in one.failures.items())}
        for case, one in outcomes.items()
    }
    Path(path).write_text(json.dumps(said, indent=1))


def _engine(name: str) -> Engine:
    return FaultyPython() if name == "python" else FaultyC(Path(name))


def _chosen(arguments: argparse.Namespace) -> list[Case]:
    chosen = [case for case in (everything() if arguments.all else some()) if arguments.match in str(case)]
    return list(filter(applies, chosen)) if arguments.python else chosen


def _under_sanitizers(arguments: Sequence[str]) -> int:
    """The same command again, with the sanitized engine, in a process that has their libraries."""
    with tempfile.TemporaryDirectory(prefix="estab-faults-") as name:
        folder = Path(name)
        engine = build.build(folder, sanitize=True, faults=True)
        environment = build.sanitizer_environment(folder) | {ENGINE: str(engine)}
        done = build.run(["-m", "tests.engine.faults", *arguments], environment, 3600)
        found = build.findings(folder)
        print(found, end="")
        print(done.stderr, file=sys.stderr, end="")
        print(done.stdout, end="")
        return 1 if found else done.returncode


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the whole matrix, not the part for CI")
    parser.add_argument("--python", action="store_true", help="the engine in Python")
    parser.add_argument("--plain", action="store_true", help="the engine in C without sanitizers")
    parser.add_argument("--verbose", action="store_true", help="name the cases too in which the call was never made")
    parser.add_argument("--match", default="", help="only cases whose description has this text")
    parser.add_argument("--out", help="write what came of each case to this file")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="estab-faults-") as name:
        if asked.plain:
            engine = _engine(str(build.build(Path(name), sanitize=False, faults=True)))
        elif asked.python or ENGINE in os.environ:
            engine = _engine("python" if asked.python else os.environ[ENGINE])
        else:
            return _under_sanitizers(arguments)
        told, outcomes = run_all(engine, _chosen(asked), asked.verbose)
    if asked.out:
        _write(asked.out, outcomes)
    print(json.dumps({**told, "seconds": round(time.monotonic() - began, 1)}))
    return 1 if told["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
