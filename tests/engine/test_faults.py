"""Every call that the engines make is made to fail in turn: no crash, no hang, no lost count, nothing kept.

Here each call fails with each of its errors, at workloads that change; `python -m tests.engine.faults --all` tries all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engine import build
from tests.engine.conftest import LongChecks

pytestmark = pytest.mark.long


@pytest.mark.parametrize("engine", ["c", "python"])
def test_no_fault_crashes_hangs_or_loses_a_count(engine: str, long_checks: LongChecks) -> None:
    found = long_checks.faults[engine].result()
    told = found.told
    assert told["wrong"] == 0, found.said
    assert told["came"] == told["cases"] > 150, found.said  # each call was really made, and failed
    assert told["done"] + told["refused"] == told["cases"]


def test_both_engines_count_the_same_failures(long_checks: LongChecks) -> None:
    c, python = (long_checks.faults[engine].result().cases for engine in ("c", "python"))

    def kinds(found: dict[str, Any]) -> tuple[str, set[str]]:
        return found["end"], {errno for _phase, errno, _count in found["failures"]}

    # Where every call fails, all have the same to count. (connect() itself is called more often in C, see ALSO.)
    compared = {case for case in python if case.endswith(" always") and "getsockopt" not in case}
    assert len(compared) > 70
    assert {case: kinds(c[case]) for case in compared} == {case: kinds(python[case]) for case in compared}


@pytest.mark.xdist_group("long_checks")  # whose engine it is
@pytest.mark.parametrize(
    ("call", "said"), [("use_after_free()", "heap-use-after-free"), ("overflow(2000000000)", "ILL on unknown address")]
)
def test_the_sanitizers_find_what_is_wrong(call: str, said: str, faulty: Path, tmp_path: Path) -> None:
    script = f"import ctypes; ctypes.CDLL({str(faulty)!r}).estab_fault_{call}"
    done = build.run(["-c", script], build.sanitizer_environment(tmp_path), 30)
    assert done.returncode != 0
    assert said in build.findings(tmp_path)
    assert "faults.c" in build.findings(tmp_path)
