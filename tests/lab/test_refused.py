"""A machine that allows no namespaces says so: in one line, in the list, in JSON; CI fails there, and skips nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.namespace
ROOT = Path(__file__).resolve().parents[2]
REASON = "the lab needs network namespaces, and this kernel refused"
# The limits are those of the user namespace that is made for it; the machine's stay as they are.
_REFUSED = 'for what in $0; do echo 0 > /proc/sys/user/max_${what}_namespaces; done; exec "$@"'


def refused(what: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Python where the kernel refuses these kinds of namespaces."""
    command = ["unshare", "-Ur", "sh", "-c", _REFUSED, what, sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT, env={**os.environ, **more}
    )


def test_one_line_and_exit_code_3() -> None:
    done = refused("net user", "-P", "-m", "estab", "lab", "run", "cookie_reset")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"estab: {REASON}")
    assert "user.max_user_namespaces" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_list_says_it_of_each() -> None:
    done = refused("net user", "-P", "-m", "estab", "lab", "list", "--json", "-")
    assert done.returncode == 0
    reasons = {one["name"]: one["why_not"] for one in json.loads(done.stdout)["scenarios"]}
    assert all(reasons.values())
    assert reasons["healthy"].startswith(REASON)


def test_ci_fails_there_with_the_reason_and_skips_nothing() -> None:
    test = "tests/lab/test_command.py::test_the_library_tells_each_stage"
    done = refused("net user", "-m", "pytest", "-p", "no:cacheprovider", test, CI="true")
    assert done.returncode == 1
    assert REASON in done.stdout
    assert "1 failed" in done.stdout
    assert "skipped" not in done.stdout


def test_without_pid_namespaces_it_runs_all_the_same_and_says_so(tmp_path: Path) -> None:
    written = tmp_path / "run.json"
    done = refused("pid", "-P", "-m", "estab", "lab", "run", "nobody_listening", "--json", str(written))
    assert "1 of 1 scenario as predicted" in done.stdout, done.stdout + done.stderr
    assert "allows no PID namespace" in done.stdout
    assert json.loads(written.read_bytes())["contained"] is False
