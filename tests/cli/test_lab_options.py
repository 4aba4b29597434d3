"""`estab lab run --pcap DIR` and `--server COMMAND`: directories that are made, and servers that have no place."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB, assert_one_clear_line, estab
from tests.lab.test_scenarios import NOT_ISOLATABLE

from estab.errors import UsageError
from estab.lab.parts.scenario import find, made, names
from estab.lab.run.runner import run_scenario
from estab.lab.run.session import lab
from estab.lab.stage.build import server
from estab.lab.stage.runner import Runner
from estab.load.serving import Service


@pytest.mark.namespace
def test_the_directory_for_captures_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    done = estab("lab", "run", "nobody_listening", "--set", "connections=5", "--pcap", str(folder), "-q")
    assert done.returncode == 0, done.stderr
    assert (folder / "nobody_listening.pcapng").stat().st_size > 0


def test_directories_for_captures_that_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, words in ((tmp_path / "a" / "b", "parent directory"), (tmp_path / "file", "no directory")):
        assert_one_clear_line(estab("lab", "run", "healthy", "--pcap", str(path)), 2, "--pcap", str(path), words)


def test_a_directory_that_may_not_be_written_is_said_to_be(ordinary_python: tuple[str, ...], tmp_path: Path) -> None:
    """Not "make the directory first", where it is there."""
    command = [*ordinary_python, "-P", "-m", "estab", "lab", "run", "healthy", "--pcap", "/usr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    assert_one_clear_line(done, 2, "--pcap", "/usr", "permission denied")


@pytest.mark.parametrize("name", ["accept_thread_starved", "defer_accept_drops"])
def test_a_server_that_has_no_place_in_a_scenario_is_refused(name: str) -> None:
    assert_one_clear_line(estab("lab", "run", name, "--server", "true"), 2, "--server", name, "leave out")


@pytest.mark.parametrize(("command", "words"), [("", "empty"), ("python 'app.py", "No closing quotation")])
def test_a_server_that_is_no_command_is_refused(command: str, words: str) -> None:
    assert_one_clear_line(estab("lab", "run", "healthy", "--server", command), 2, "--server", words)


@pytest.mark.parametrize("name", [name for name in names() if name not in (*NOT_ISOLATABLE, "nobody_listening")])
def test_every_scenario_that_brings_a_server_of_its_own_says_so(name: str) -> None:
    """One that runs another server than the stage's own, without a word, would pass without the user's server."""
    setup = made(name, {}).setup()
    takes_another = isinstance(server("127.0.0.1", setup), Service) and not setup.unix
    assert takes_another != (find(name).no_own_server is not None)


@pytest.mark.namespace
def test_where_nobody_listens_the_server_takes_part_in_the_remedy() -> None:
    server = f"{ESTAB} serve --listen {{host}}:{{port}}"
    done = estab("lab", "run", "nobody_listening", "--set", "connections=5", "--server", server, "--json", "-")
    one = json.loads(done.stdout)["scenarios"][0]
    assert one["status"] == "as_predicted"
    assert "--server stood for the server that is started" in one["notes"][0]


@pytest.mark.parametrize("name", ["accept_thread_starved", "defer_accept_drops"])
def test_among_all_a_scenario_without_a_place_for_the_server_is_left_out(name: str) -> None:
    found = run_scenario(Runner(name, command="true"), {})
    assert (found.status, "can't take part" in found.why) == ("cannot_run", True)


def test_the_library_makes_the_directory_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no directory"):
        lab(["healthy"], captures=os.devnull)
    with pytest.raises(UsageError, match="make its parent"):
        lab(["healthy"], captures=tmp_path / "a" / "b")
