"""`estab lab` as a user types it: bad input in one line, exit codes, the list, JSON, a server of one's own."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys

import pytest
from tests.cli.terminal import assert_one_clear_line, called
from tests.forked import forked

import estab as estab_package
from estab.lab.parts.scenario import find, names
from estab.lab.parts.settings import allows, parameters
from estab.lab.run.session import lab as play


def estab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        **forked("lab", *arguments), capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run",), "needs a scenario"),
        (("run", "nothing_such"), "estab lab list names them all"),
        (("run", "cookie_reset", "--set", "nope=1"), "backlog=128"),
        (("run", "cookie_reset", "--set", "backlog"), "backlog=128"),
        (("run", "cookie_reset", "--set", "nope=1"), "backlog=128 (0 to 2,147,483,647)"),
        (("run", "cookie_reset", "--set", "backlog=many"), "backlog takes 0 to 2,147,483,647"),
        (("run", "cookie_reset", "--set", "backlog=-1"), "backlog takes 0 to 2,147,483,647"),
        (("run", "cookie_reset", "--set", "cookies=3"), "0 to 2 (net.ipv4.tcp_syncookies"),
        (("run", "cookie_reset", "--set", "rtt=11s"), "a time, 0ms to 10s"),
        (("run", "cookie_reset", "--set", "rtt=soon"), "a time, 0ms to 10s"),
        (("run", "path_rate_limited", "--set", "limit_per_s=20s"), "1 to 100,000"),
        (("run", "path_filtered", "--set", "filter=x"), "none, drop, reset, unreachable or prohibited"),
        (("run", "cookie_reset", "--keep"), "standard input must be a terminal"),
        (("run", "all", "--keep"), "one scenario"),
        (("list", "nothing_such"), "estab lab list names them all"),
        (("list", "--json", "/nonexistent/list.json"), "/nonexistent"),
        (("run", "cookie_reset", "--set", "rtt=-1s"), "-1s"),
        (("run", "bound_ports_poisoned", "--set", "no_port=maybe"), "maybe"),
        (("run", "all", "--set", "backlog=5"), "one scenario"),
        (("run", "cookie_reset", "--pcap", "/nonexistent/captures"), "/nonexistent/captures"),
        (("run", "cookie_reset", "--jobs", "0"), "1 to 16"),
        (("run", "cookie_reset", "--jobs", "17"), "1 to 16"),
        (("run", "cookie_reset", "--sweep"), "path_flow_table_full"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], named: str) -> None:
    done = called("lab", *arguments)
    assert_one_clear_line(done, 2, named)
    assert done.stdout == ""


def test_the_list_shows_every_scenario_and_its_settings() -> None:
    done = estab("list")
    assert done.returncode == 0
    words = done.stdout.split()
    for name in names():
        assert name in words
        assert all(f"{one.key}=" in done.stdout for one in parameters(find(name)))
        assert all(one.text for one in parameters(find(name)))


def test_the_list_as_json() -> None:
    found = json.loads(estab("list", "--json", "-").stdout)
    assert found["schema"] == "estab.lab-list/1"
    assert [one["name"] for one in found["scenarios"]] == names()
    for one in found["scenarios"]:
        scenario = find(one["name"])
        assert (one["cause"], one["side"], one["symptom"]) == (scenario.cause, scenario.side, scenario.symptom)
        assert (one["seconds"], [key["key"] for key in one["settings"]]) == (
            scenario.seconds, [key.key for key in parameters(scenario)]
        )  # fmt: skip
        assert one["why_not"] is None or "it cannot be isolated" in one["why_not"]


def test_one_of_the_list_tells_what_its_settings_take() -> None:
    said = estab("list", "path_filtered").stdout
    for word in ("default", "none, drop, reset,", "round-trip time", "a time, 0ms to 10s", "600ms"):
        assert word in said


def test_help_tells_the_settings_of_those_that_are_named() -> None:
    of_one, of_none, of_lab = (estab(*words, "--help").stdout for words in (("run", "cookie_reset"), ("run",), ()))
    assert "pause=300ms" in of_one
    assert "filter=drop" not in of_one
    assert "estab lab run NAME --help" in of_none
    assert "--scale" not in of_one
    for word in ("list", "run", "twin"):
        assert f" {word} " in of_lab
    assert "--set" not in of_lab


def test_nothing_piped_has_blanks_at_its_end() -> None:
    printed = estab("list").stdout + estab("list", "cookie_reset").stdout + estab("run", "conntrack_full_local").stdout
    assert [line for line in printed.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("name", names())
def test_each_setting_has_bounds_that_its_default_keeps(name: str) -> None:
    for one in parameters(find(name)):
        assert allows(one, one.default)
        assert one.kind in ("int", "float", "seconds", "bool", "str")
        assert one.takes


def test_the_public_name_stays_a_function() -> None:
    assert callable(estab_package.lab)
    assert importlib.import_module("estab.lab.stage.stage").Stage
    assert estab_package.lab is play
    with pytest.raises(estab_package.UsageError, match="backlog=-1"):
        estab_package.lab(["cookie_reset"], settings={"cookie_reset": {"backlog": -1}})
    with pytest.raises(estab_package.UsageError, match="backlog=many"):
        estab_package.lab(["cookie_reset"], settings={"cookie_reset": {"backlog": "many"}})
    with pytest.raises(estab_package.UsageError, match="name one"):
        estab_package.lab(["all"], inside=lambda _found: None)


@pytest.mark.namespace
def test_the_library_tells_each_stage() -> None:
    stages: list[tuple[str, str]] = []
    done = estab_package.lab(["nobody_listening"], gauge=False, told=lambda name, stage: stages.append((name, stage)))
    assert isinstance(done, estab_package.LabResult)
    assert [scenario.name for scenario in done.scenarios] == ["nobody_listening"]
    assert done.contained is True
    assert stages[:2] == [("nobody_listening", "predicting"), ("nobody_listening", "running")]
    assert ("nobody_listening", "remedy 2 of 5: a server listens there") in stages


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
def test_a_sweep_alone_is_the_table_of_sizes_and_ceilings() -> None:
    done = estab("run", "path_flow_table_full", "--sweep", "--set", "sweep=40,90,1200")
    assert done.returncode == 0, done.stdout + done.stderr
    heading, *table = re.split(r"ping fail\s+too\n", done.stdout)[1].splitlines()[:4]
    assert heading.split() == ["size", "set", "ceiling", "found"]
    assert [line.split() for line in table] == [["40", "40"], ["90", "90"], ["1,200", "1,200"]]
    assert "Verdict  path_flow_table_full, as expected" in done.stdout


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
