"""`python -m benchmarks.docs`: measures, and writes the tables and plots of docs/speed.md. `--render` only writes.

Each part's figures are kept in build/benchmarks, so that parts can be measured one at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.__main__ import Turns, chosen
from benchmarks.measure import ROOT, Runner, find_space
from benchmarks.profile import LOADS
from benchmarks.table import Result

KEPT = ROOT / "build" / "benchmarks"
PAGE = ROOT / "docs" / "speed.md"
IMAGES = ROOT / "docs" / "images"
GROWTH = (1, 10, 100, 1_000, 10_000, 100_000)
MILLION = 1_000_000
MILLION_WITHIN_S = 900.0


def _kept(name: str) -> dict[str, Any]:
    path = KEPT / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _keep(name: str, found: Mapping[str, Any]) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**_kept(name), **found}, indent=1, ensure_ascii=False)
    (KEPT / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _cases(runner: Runner, asked: argparse.Namespace, names: list[str] | None) -> None:
    for case in chosen(names):
        turns = Turns(runner, asked.pairs)
        turns.case(case)
        if asked.add:
            _add_kept(turns.results)
        _keep("cases", {result.row.name: result.record() for result in turns.results if result.own})


def _add_kept(results: Sequence[Result]) -> None:
    """Puts the pairs that were measured before to those of now."""
    kept = _kept("cases")
    for result in results:
        before = kept.get(result.row.name, {"own": [], "peer": []})
        result.own, result.peer = before["own"] + result.own, before["peer"] + result.peer


def _growth(runner: Runner, asked: argparse.Namespace) -> None:
    for count in asked.at or (*GROWTH, *((MILLION,) if asked.million else ())):
        _figures(runner, "growth", str(count), "own_growth", {"connections": count})


def _profile(runner: Runner, _asked: argparse.Namespace) -> None:
    for load in LOADS:
        _figures(runner, "profile", load, "own_profile", {"load": load})


def _stalls(runner: Runner, _asked: argparse.Namespace) -> None:
    for mode in ("rate", "rr"):
        _figures(runner, "stalls", mode, "own_stalls", {"mode": mode})


def _figures(runner: Runner, part: str, key: str, what: str, options: Mapping[str, str | int]) -> None:
    answer = runner.measure(what, options, MILLION_WITHIN_S)
    print(f"{part} {key}: {answer.get('error') or answer['figures']} {answer.get('notes') or ''}", file=sys.stderr)
    if "figures" in answer:
        _keep(part, {key: answer["figures"]})


PARTS: Mapping[str, Callable[[Runner, argparse.Namespace], None]] = {
    "peers": lambda runner, asked: _cases(runner, asked, asked.case),
    "matrix": lambda runner, asked: _cases(runner, asked, ["matrix"]),
    "growth": _growth,
    "profile": _profile,
    "stalls": _stalls,
}


def render() -> None:
    """Writes what is kept into docs/speed.md and docs/images. A part that was never measured stays as it is."""
    page = PAGE.read_text(encoding="utf-8")
    if cases := _kept("cases"):
        for name, text in (
            ("peers", pages.peers(cases)),
            ("matrix", pages.matrix(cases)),
            ("one process each", pages.one_process_each(cases)),
            ("UNIX sockets", pages.unix_sockets(cases)),
            ("watching", pages.watching(cases)),
        ):
            page = pages.put(page, name, text)
    if grown := _kept("growth"):
        points = [{"connections": int(count), **grown[count]} for count in sorted(grown, key=int)]
        page = pages.put(page, "growth", pages.growth(points))
        from benchmarks.plots import draw  # needs the tools of the tests

        draw(points, IMAGES)
    if profiles := _kept("profile"):
        page = pages.put(page, "profile", pages.profile(profiles))
    if stalled := _kept("stalls"):
        page = pages.put(page, "stalls", pages.stalls(stalled))
    PAGE.write_text(page, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.docs", description="Measures for docs/speed.md.")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="only this part; repeatable")
    parser.add_argument("--case", action="append", help="of the part peers, only this case; repeatable")
    parser.add_argument("--at", action="append", type=int, help="of the part growth, so many connections; repeatable")
    parser.add_argument("--million", action="store_true", help="grow to 1,000,000 connections: 8 GB, some minutes")
    parser.add_argument("--render", action="store_true", help="measure nothing, write what is kept")
    parser.add_argument("--add", action="store_true", help="keep the pairs that were measured before, too")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--peers", metavar="DIR", help="look for the peers' programs here first, then on PATH")
    return parser.parse_args()


def main() -> int:
    """Measures what was asked for, then renders."""
    asked = _arguments()
    if asked.peers:
        os.environ["PATH"] = f"{Path(asked.peers).resolve()}{os.pathsep}{os.environ['PATH']}"
    if not asked.render:
        runner = Runner(find_space()[0], asked.seconds)
        for name in asked.only or PARTS:
            PARTS[name](runner, asked)
    render()
    return 0


if __name__ == "__main__":
    sys.exit(main())
