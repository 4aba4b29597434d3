"""`python -m benchmarks`: takes turns, prints ratios. Exit 0; 1 where estab itself gave no figure; 130 interrupted."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from benchmarks.cases import BASIC, HOW_BUILT, Ask, Case
from benchmarks.matrix import CASES, MATRIX
from benchmarks.measure import Runner, find_space
from benchmarks.ratios import ratio
from benchmarks.table import Result, number, render

LEGEND = (
    "estab, peer: medians. least to most: the pairs' ratios, above 1 where estab is ahead (its own figures where "
    "it has no peer). met: by the median."
)


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} can't be; it can be 1 or more")
    return value


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="estab against its peers on loopback, taking turns; ratios, no assertions.",
        epilog="Cases: " + ", ".join(case.name for case in CASES),
    )
    parser.add_argument("--pairs", type=_at_least_one, default=5, help="pairs of measurements a case (default: 5)")
    parser.add_argument("--seconds", type=_at_least_one, default=3, help="load time of a measurement (default: 3)")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[*(case.name for case in CASES), "matrix"],
        help="only this case, or the matrix of connections and sizes; repeatable. Default: all but the matrix",
    )
    parser.add_argument("--peers", metavar="DIR", help="look for the peers' programs here first, then on PATH")
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON to this file")
    return parser.parse_args(given)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Turns:
    """Takes the measurements of one case after the other."""

    def __init__(self, runner: Runner, pairs: int) -> None:
        self.runner, self.pairs = runner, pairs
        self.results: list[Result] = []
        self.own_failed = False

    def case(self, case: Case) -> None:
        """All pairs of a case into `results`: estab, peer, estab, peer …"""
        results = [Result(row, case.peer_name if case.peer else None) for row in case.rows]
        self.results += results  # at once: an interrupted case shows the pairs that it had
        missing = [name for name in case.programs if shutil.which(name) is None]
        for result in results:
            result.notes += [case.note] if case.note else []
            if missing:
                result.skipped = f"{' and '.join(missing)} not on PATH; to have it: {HOW_BUILT[missing[0]]}"
        if missing:
            _say(f"{case.name}: {results[0].skipped}")
            return
        for nth in range(self.pairs):
            self._pair(case, results, f"{case.name} {nth + 1}/{self.pairs}")

    def _pair(self, case: Case, results: list[Result], label: str) -> None:
        own = self._measure(case.own, results, "estab")
        peer = self._measure(case.peer, results, case.peer_name) if case.peer else None
        self.own_failed |= own is None
        if own is None or (case.peer and peer is None):
            _say(f"{label}: {results[0].errors[-1]}")
            return
        for result in results:
            figure = own[result.row.figure]
            result.own.append(figure)
            text = f"{label}: {result.row.name} {number(figure)} {result.row.unit}"
            if peer is not None:
                other = peer[result.row.figure]
                result.peer.append(other)
                text += f", {case.peer_name} {number(other)}: {ratio(figure, other, result.row.better):.2f}x"
            _say(text)

    def _measure(self, ask: Ask, results: list[Result], who: str) -> dict[str, float] | None:
        answer = self.runner.measure(ask.what, ask.options)
        for result in results:
            result.notes += answer.get("notes", [])
            if "error" in answer:
                result.errors.append(f"{who}: {answer['error']}")
        figures: dict[str, float] | None = answer.get("figures")
        return figures


def chosen(names: Sequence[str] | None) -> list[Case]:
    """The cases of these names; without any, all but the matrix, which takes long."""
    wanted = {case.name for case in BASIC} if not names else set(names)
    if "matrix" in wanted:
        wanted |= {case.name for case in MATRIX}
    return [case for case in CASES if case.name in wanted]


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _head(asked: argparse.Namespace, words: str) -> str:
    # What else runs here takes from both programs of a pair, and seldom alike: the load is named beside the figures.
    return (
        f"{os.uname().sysname} {os.uname().release}, {_cores()} cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"{asked.pairs} pair{'s' if asked.pairs > 1 else ''} of {asked.seconds} s, estab and its peer in turn, all on "
        f"loopback; {words}."
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def main(given: Sequence[str] | None = None) -> int:
    """Runs what the arguments ask for. Returns the exit code."""
    asked = _arguments(given)
    signal.signal(signal.SIGTERM, _terminated)
    if asked.peers:
        os.environ["PATH"] = f"{Path(asked.peers).resolve()}{os.pathsep}{os.environ['PATH']}"
    space, words = find_space()
    head = _head(asked, words)
    _say(head)
    turns = Turns(Runner(space, asked.seconds), asked.pairs)
    interrupted = False
    try:
        for case in chosen(asked.only):
            turns.case(case)
    except KeyboardInterrupt:
        interrupted = True
    print("\n".join([head, LEGEND, "", *render(turns.results)]))
    if asked.json:
        record = {
            "schema": "estab.benchmarks/1",
            "host": {"kernel": os.uname().release, "cores": _cores(), "load_at_end": os.getloadavg()[0]},
            "pairs": asked.pairs,
            "seconds": asked.seconds,
            "namespace": space,
            "interrupted": interrupted,
            "results": [result.record() for result in turns.results],
        }
        Path(asked.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 130 if interrupted else 1 if turns.own_failed else 0


if __name__ == "__main__":
    sys.exit(main())
