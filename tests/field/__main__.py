"""`python -m tests.field`: plays the situations and prints the table. Exit code 1 where one is not right."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.field import runner, table
from tests.field.catalogue import SITUATIONS
from tests.field.runner import Outcome, Runner
from tests.field.stage import SERVERS


def main() -> int:
    asked = _arguments()
    situations = runner.chosen(SITUATIONS.values(), asked.only)
    if not situations:
        print(f"no situation matches {asked.only!r}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    burners = [_burner() for _ in range(asked.burners)]
    try:
        outcomes = Runner(asked.jobs, lambda outcome: _told(outcome, asked.verbose)).play_all(situations)
    except KeyboardInterrupt:
        return 130
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    print("\n".join(["", *table.lines(outcomes)]))
    if asked.json:
        rows = [{**asdict(outcome), "situation": outcome.situation.name} for outcome in outcomes]
        Path(asked.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(outcome.mark == "right" for outcome in outcomes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.field", description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="situations whose name matches (re.search)")
    parser.add_argument("--jobs", type=int, default=3, help="how many at the same time (default: 3)")
    parser.add_argument("--burners", type=int, default=0, help="processes that burn a core beside it all")
    parser.add_argument("--json", metavar="FILE", help="keep the outcomes, with all that was printed")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what estab printed where it is not right")
    return parser.parse_args()


def _burner() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", sys.executable, str(SERVERS / "burn.py")])


def _told(outcome: Outcome, verbose: bool) -> None:
    """A line of progress for each, on stderr; what was printed where somebody wants to know why."""
    print(f"{outcome.seconds:5.1f} s  {'  '.join(table.row(outcome)[::3])}", file=sys.stderr, flush=True)
    if verbose and outcome.mark != "right":
        for proof in outcome.unproved:
            print(f"  not so: {proof}", file=sys.stderr)
        if outcome.said:
            print(outcome.said.text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
