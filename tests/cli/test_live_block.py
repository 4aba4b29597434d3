"""What is drawn while a load runs, on a real terminal: seen meanwhile, gone at the end, and never in a pipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB, estab
from tests.cli.tmux import terminal


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_a_load_is_seen_while_it_runs_and_its_answer_stands_alone(tmp_path: Path, size: tuple[int, int]) -> None:
    with terminal(tmp_path) as term:
        term.start(*size, ESTAB, "bench", "-c", "5", "-d", "5")
        during = term.until(r"bench  running +█.*requests/s.*p50.*5 connected  5 open")
        assert len([line for line in during.splitlines() if line.strip()]) == 3
        shown = term.until("limit met")
        assert term.exit_code() == 0
    assert "running" not in shown
    assert shown.startswith("✓ ")


def test_a_search_shows_its_attempts(tmp_path: Path) -> None:
    with terminal(tmp_path) as term:
        term.start(80, 24, "/bin/sh", "-c", f"ulimit -n 200; exec {ESTAB} hold --find-ceiling -n 1000 --processes 1")
        term.until(r" held.*attempt \d+  ")
        shown = term.until("ceiling of ")
    assert "attempt" not in shown


def test_a_pipe_gets_none_of_it() -> None:
    done = estab("hold", "-n", "5", "-d", "0.3")
    assert done.stderr == ""
    assert done.stdout.startswith("✓ ")
