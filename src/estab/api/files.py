"""Recorded runs: to a file and back."""

from __future__ import annotations

from pathlib import Path

from estab.diagnose import judge
from estab.errors import ReadError
from estab.records import RUN_SCHEMA, RunResult, decode, encode


def load_run(path: str | Path) -> RunResult:
    """The run recorded in a file. Raises ReadError, with the path and the place, for what cannot be read as one."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ReadError(f"can't read {path}: {error.strerror}") from error
    try:
        return decode(data, RunResult, RUN_SCHEMA)
    except ReadError as error:
        raise ReadError(f"{path}: {error}") from error


def save_run(run: RunResult, path: str | Path) -> None:
    """Writes a run as JSON (estab.run/1) that `load_run` reads. Raises OSError."""
    Path(path).write_bytes(encode(run) + b"\n")


def diagnose(run: RunResult | str | Path) -> RunResult:
    """A run, or the file that holds one, with its diagnosis made anew by this version's judge."""
    if not isinstance(run, RunResult):
        run = load_run(run)
    return run.replace(diagnosis=judge(run))
