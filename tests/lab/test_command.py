"""`estab lab` as a user types it: bad input in one line, exit codes, the list, JSON, a server of one's own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from estab.lab.scenario import find, names, parameters


def estab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "estab", "lab", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run",), "needs a scenario"),
        (("run", "nothing_such"), "accept_queue_overflow"),
        (("run", "cookie_reset", "--set", "nope=1"), "backlog=128"),
        (("run", "cookie_reset", "--set", "backlog"), "backlog=128"),
        (("run", "cookie_reset", "--set", "backlog=many"), "many"),
        (("run", "cookie_reset", "--set", "rtt=-1s"), "-1s"),
        (("run", "bound_ports_poisoned", "--set", "no_port=maybe"), "maybe"),
        (("run", "all", "--set", "backlog=5"), "one scenario"),
        (("run", "cookie_reset", "--pcap", "/nonexistent"), "/nonexistent"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], named: str) -> None:
    done = estab(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_list_shows_every_scenario_and_its_settings() -> None:
    done = estab("list")
    assert done.returncode == 0
    words = done.stdout.split()
    for name in names():
        assert name in words
        assert all(f"{one.key}=" in done.stdout for one in parameters(find(name)))
        assert all(one.text for one in parameters(find(name)))


@pytest.mark.namespace
def test_what_cannot_run_here_exits_with_3() -> None:
    done = estab("run", "conntrack_full_local", "--quiet")
    assert (done.returncode, done.stdout) == (3, "")


@pytest.mark.namespace
def test_settings_change_the_prediction_and_the_measurement() -> None:
    done = estab("run", "server_not_accepting", "--set", "backlog=5", "--set", "connections=40", "--json", "-")
    assert done.returncode in (0, 1), done.stderr
    one = json.loads(done.stdout)["scenarios"][0]
    rows = {row["what"]: (row["predicted"], row["measured"]) for row in one["rows"]}
    assert rows["server ESTABLISHED"] == ("6", "6")
    assert rows["ghosts"] == ("34", "34")


@pytest.mark.namespace
def test_a_server_of_ones_own() -> None:
    program = "import socket,time; s=socket.create_server(('{host}',{port}),backlog=3); time.sleep(60)"
    command = f'{sys.executable} -c "{program}"'
    done = estab("run", "server_not_accepting", "--server", command, "--json", "-")
    one = json.loads(done.stdout)["scenarios"][0]
    assert one["cause"] == "server_not_accepting"
    rows = {row["what"]: row["measured"] for row in one["rows"]}
    assert rows["server ESTABLISHED"] == "4"


@pytest.mark.namespace
def test_a_server_that_does_not_start_is_told() -> None:
    done = estab("run", "server_not_accepting", "--server", "/nonexistent/server", "--json", "-")
    assert done.returncode == 3
    assert "/nonexistent/server" in json.loads(done.stdout)["scenarios"][0]["why"]
