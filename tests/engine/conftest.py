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
from tests.engine import build, sanitized

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


def _faults(out: Path, *option: str) -> Faults:
    command = ["-m", "tests.engine.faults", "--verbose", *option, "--out", str(out)]
    done = build.run(command, dict(os.environ), WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return Faults(done.stdout, json.loads(done.stdout.splitlines()[-1]), json.loads(out.read_text()))


@pytest.fixture(scope="session")
def long_checks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongChecks]:
    """Those that tests of this session ask for, begun with the first of these."""
    asking = {item.path.name for item in request.session.items}
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(3) as pool:
        conformance, faults = None, {}
        if "test_sanitized.py" in asking:
            conformance = pool.submit(sanitized.conformance, ["-k", "not python"])
        if "test_faults.py" in asking:
            faults["c"] = pool.submit(_faults, folder / "c")  # under ASan and UBSan
            faults["python"] = pool.submit(_faults, folder / "python", "--python")
        yield LongChecks(conformance, faults)
