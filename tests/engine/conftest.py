"""The long checks of the engine run side by side: each takes one core at the most, and waits for much of its time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.engine import build, faults, sanitized

WITHIN_S = 300


@dataclass(frozen=True)
class Faults:
    """What `tests.engine.faults` came to: what it said, its summary, and what came of each case."""

    said: str
    told: dict[str, Any]
    cases: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class LongChecks:
    """None: no test of this session asks for it."""

    conformance: Future[tuple[int, str, str]] | None
    faults: dict[str, Future[Faults]]


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The engine's files, compiled for the sanitizers."""
    return build.compiled(tmp_path_factory.mktemp("objects"), sanitize=True)


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory, objects: list[Path]) -> Path:
    """The engine in C under the sanitizers, with faults to inject."""
    return build.linked(tmp_path_factory.mktemp("engine"), objects, sanitize=True, faults=True)


def _faults_in_python(out: Path) -> Faults:
    return _faults(out, ["--python"], dict(os.environ))


def _faults_in_c(out: Path, engine: Path) -> Faults:
    came = _faults(out, [], build.sanitizer_environment(out.parent) | {faults.ENGINE: str(engine)})
    assert build.findings(out.parent) == ""
    return came


def _faults(out: Path, options: list[str], environment: dict[str, str]) -> Faults:
    command = ["-m", "tests.engine.faults", "--verbose", *options, "--out", str(out)]
    done = build.run(command, environment, WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return Faults(done.stdout, json.loads(done.stdout.splitlines()[-1]), json.loads(out.read_text()))


@pytest.fixture(scope="session")
def long_checks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongChecks]:
    """Those that tests of this session ask for, begun with the first of these."""
    asking = {item.path.name for item in request.session.items}
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(3) as pool:
        conformance, of_faults = None, {}
        if "test_sanitized.py" in asking:
            conformance = pool.submit(sanitized.conformance, ["-k", "not python"], request.getfixturevalue("objects"))
        if "test_faults.py" in asking:
            of_faults["python"] = pool.submit(_faults_in_python, folder / "python")
            of_faults["c"] = pool.submit(_faults_in_c, folder / "c", request.getfixturevalue("faulty"))
        yield LongChecks(conformance, of_faults)
