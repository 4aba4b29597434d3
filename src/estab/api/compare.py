"""`compare`: two runs, or two sets of repeated runs, side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from estab import __version__
from estab.api.files import decode_run, named, read_bytes
from estab.compare import compare_runs, parse
from estab.compare.figures import kinds_for
from estab.compare.join import ALPHA, figure
from estab.errors import ReadError
from estab.records import RunResult
from estab.records.comparison import Comparison, Figure

Runs = RunResult | str | Path | Iterable[RunResult]


def compare(a: Runs, b: Runs, *, fail_on: str = "", strict: bool = False, alpha: float = ALPHA) -> Comparison:
    """What differs between the runs `a` and `b`, and whether each difference is more than noise.

    Each is a run, several, a file that `--json` wrote (`-`: standard input), or a directory of such files
    (`--repeat 5 --json DIR/`). With two runs or more on each side a difference is tested (Mann-Whitney U) against
    `alpha`, 0 to 1; with one run it can not be told from noise, and `notes` says so.

    `fail_on` is a gate such as "p99>+10%,failures>0,cause"; its terms stand judged in `gate`. Where both sides have
    repeats, a relative term counts only a difference beyond noise, unless `strict`.

    Raises ReadError for what cannot be read as runs, UsageError for a gate or alpha that cannot be, and for a gate that
    asks for what the runs do not have.
    """
    terms = parse(fail_on) if fail_on else []
    (left, left_files), (right, right_files) = _runs(a), _runs(b)
    comparison = compare_runs(
        left,
        right,
        names=(_name(a, "A"), _name(b, "B")),
        files=(left_files, right_files),
        terms=terms,
        strict=strict,
        alpha=alpha,
    )
    return comparison.replace(estab_version=__version__)


def _name(side: Runs, otherwise: str) -> str:
    return named(side) if isinstance(side, str | Path) else otherwise


def _runs(side: Runs) -> tuple[list[RunResult], list[str]]:
    """The runs of one side, and the files that they came from."""
    if isinstance(side, RunResult):
        return [side], []
    if not isinstance(side, str | Path):
        return list(side), []
    path = Path(side)
    files = _in_directory(path) if os.path.isdir(path) else [path]
    return [run for file in files for run in read_runs(file)], [named(file) for file in files]


def _in_directory(path: Path) -> list[Path]:
    try:
        files = sorted(file for file in path.iterdir() if file.suffix == ".json" and file.is_file())
    except OSError as error:
        raise ReadError(f"can't read {path}: {error.strerror}") from error
    if not files:
        raise ReadError(f"{path}: no run in it (*.json); estab bench --repeat 5 --json {path}/ writes some")
    return files


def read_runs(path: Path) -> list[RunResult]:
    """The run of a file, or the runs where it holds one a line (`--repeat 5 --json -`). Raises ReadError."""
    data = read_bytes(path)
    lines = [line for line in data.splitlines() if line.strip()]
    if len(lines) < 2 or not (lines[0].startswith(b"{") and lines[0].endswith(b"}")):
        return [_decoded(data, named(path))]  # one run, perhaps spread over many lines by another program
    return [_decoded(line, f"{named(path)}, line {number}") for number, line in enumerate(lines, 1)]


def _decoded(data: bytes, where: str) -> RunResult:
    try:
        return decode_run(data)
    except ReadError as error:
        raise ReadError(f"{where}: {error}") from error


def spread(runs: Iterable[RunResult]) -> list[Figure]:
    """Each figure over repeated runs: `a` is the median, `a_runs` each run's own. Side B is the same runs."""
    there = list(runs)
    return [figure(kind, there, there, ALPHA) for kind in kinds_for(there)]
