"""`estab … | head`: who reads along and has read enough hears of no error, whatever the command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cli.terminal import ESTAB, estab
from tests.forked import forked

from estab.cli.commands import COMMANDS

COMMAND_LINES = [
    ("--help",),
    ("limits",),
    ("limits", "127.0.0.1:9", "--json", "-"),
    ("serve", "echo", "--listen", "127.0.0.1:0", "-d", "5"),
    ("bench", "-c", "2", "-d", "0.1"),
    ("hold", "-n", "3", "-d", "0.05"),
    ("hold", "-n", "3", "-d", "0.05", "--repeat", "2"),
    ("hold", "-n", "3", "-d", "0.05", "--json", "-"),
    ("churn", "-c", "2", "-d", "0.1"),
    ("observe", "--count", "0", "--interval", "10ms"),
    ("watch", "--once", "--interval", "100ms"),
    ("diagnose", "--interval", "100ms"),
    ("diagnose", "RUN"),
    ("probe", "--help"),
    ("run", "--help"),
    ("attach", "SELF", "-d", "100ms"),
    ("record", "--dir", "DIR", "--count", "2", "--interval", "100ms"),
    ("report", "RUN", "--markdown"),
    ("compare", "RUN", "RUN"),
    ("export", "--once", "--window", "100ms"),
    ("lab", "list"),
    ("lab", "list", "--json", "-"),
    ("cluster", "--help"),
    ("completion", "bash"),
    ("man",),
    ("explain", "accept_queue_overflow"),
]
# One that prints its help, one that prints in the end, one that prints until the reader is gone: how Python itself ends
# then is tried as well.
EXECUTED = [("--help",), ("hold", "-n", "3", "-d", "0.05", "--json", "-"), COMMAND_LINES[9]]


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.json"
    assert estab("hold", "-n", "3", "-d", "0.05", "--json", str(path), "-q").returncode == 0
    return path


def test_every_command_is_tried() -> None:
    assert {line[0] for line in COMMAND_LINES} >= set(COMMANDS)


def started(start: dict[str, Any]) -> None:
    """What is started with this writes to a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as closed:
        done = subprocess.run(**start, stdout=closed, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert done.returncode == 1


@pytest.mark.parametrize("line", COMMAND_LINES, ids=" ".join)
def test_a_reader_that_has_gone(line: tuple[str, ...], run_file: Path) -> None:
    files = {"RUN": str(run_file), "DIR": str(run_file.parent / "recording"), "SELF": str(os.getpid())}
    started(forked(*(files.get(word, word) for word in line)))


@pytest.mark.parametrize("line", EXECUTED, ids=" ".join)
def test_a_reader_of_a_process_that_has_gone(line: tuple[str, ...]) -> None:
    started({"args": [ESTAB, *line]})
