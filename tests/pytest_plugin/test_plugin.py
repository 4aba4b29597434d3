"""The plugin as a project's tests use it: a real Python server whose backlog is too small, and one big enough."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from tests.forked import forked_call

import estab

pytest_plugins = ["pytester"]

# A server as people write them: the standard library's, whose backlog is request_queue_size (5 by default). It runs in
# a process of its own, as a server under test does, and prints its port when it listens.
SERVER = """
import socketserver, sys

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)

class Server(socketserver.ThreadingTCPServer):
    request_queue_size = int(sys.argv[1])
    daemon_threads = True

with Server(("127.0.0.1", 0), Echo) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""
CONFTEST = """
import contextlib, subprocess, sys
import pytest

@pytest.fixture
def server(request, tmp_path):
    program = tmp_path / "server.py"
    program.write_text(request.config.rootpath.joinpath("server.txt").read_text())
    backlog = request.node.get_closest_marker("backlog").args[0]
    command = [sys.executable, str(program), str(backlog)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield "127.0.0.1:" + process.stdout.readline().strip()
        process.kill()
"""
TEST = """
import pytest

@pytest.mark.backlog({backlog})
def test_backlog_holds(estab, server):
    estab.assert_healthy(estab.hold(server, connections=400, duration_s=0.5))
"""
ANNOUNCED = list(entry_points(group="pytest11", name="estab"))
# Named, and no other plugin is loaded: all that are installed here take a second.
WITH_PLUGIN = ("-p", "no:cacheprovider", "-p", "estab.pytest_plugin")


@pytest.fixture
def fresh_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makefile(".txt", server=SERVER)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nmarkers = backlog(size): the server's backlog\nfilterwarnings = error\n")
    return pytester


@pytest.fixture
def project(fresh_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Its pytest is a fork of this one: to import it and estab takes longer than the tests of a project."""

    def popen(command: Sequence[str], *, stdin: object, **streams: Any) -> subprocess.Popen[bytes]:
        def work() -> None:
            sys.modules.pop("estab.pytest_plugin", None)  # pytest rewrites a plugin's asserts as it loads it
            sys.exit(pytest.main([str(word) for word in command[2:]]))  # behind `python -mpytest`

        return subprocess.Popen(**forked_call(work, *command), stdin=subprocess.DEVNULL, **streams)

    monkeypatch.setattr(fresh_project, "popen", popen)
    return fresh_project


def test_a_backlog_too_small_fails_with_the_verdict(project: pytest.Pytester) -> None:
    project.makepyfile(TEST.format(backlog=5))
    done = project.runpytest_subprocess(*WITH_PLUGIN, "--estab-json", "kept")
    done.assert_outcomes(failed=1)
    text = done.stdout.str()
    assert "cause: accept_queue_overflow, at the server" in text
    assert "places in use at worst" in text, "the evidence"
    assert "What to do:" in text
    assert "backlog" in text.partition("What to do:")[2]
    assert "What does nothing:" in text
    assert "pytest_plugin.py" not in text, "no traceback through the plugin"
    [file] = Path(project.path, "kept").iterdir()
    assert file.name == "test_a_backlog_too_small_fails_with_the_verdict.py-test_backlog_holds-1.json"
    run = estab.load_run(file)
    assert run.diagnosis is not None
    assert run.diagnosis.cause == "accept_queue_overflow"
    assert estab.diagnose(file).diagnosis is not None


def test_a_backlog_big_enough_passes_and_keeps_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(TEST.format(backlog=1024))
    project.runpytest_subprocess(*WITH_PLUGIN, "--estab-json", "kept").assert_outcomes(passed=1)
    assert not Path(project.path, "kept").exists()


def test_a_test_that_fails_by_itself_keeps_its_runs(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.backlog(1024)
        @pytest.mark.parametrize("size", [1, 64])
        def test_echo(estab, server, size):
            run = estab.bench(server, connections=5, duration_s=0.05, size_bytes=size)
            estab.assert_healthy(run)
            estab.churn(server, connections=2, duration_s=0.05)
            assert estab.runs[0] is run
            assert run.requests.count < 0, size
        """
    )
    project.runpytest_subprocess(*WITH_PLUGIN, "--estab-json", "deep/kept").assert_outcomes(failed=2)
    names = sorted(file.name for file in Path(project.path, "deep/kept").iterdir())
    assert [name.partition("test_echo")[2] for name in names] == ["-1-1.json", "-1-2.json", "-64-1.json", "-64-2.json"]


def test_nobody_listens(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import socket
        from estab.pytest_plugin import assert_healthy

        def test_it(estab):
            with socket.socket() as bound:  # not listening: connects are refused
                bound.bind(("127.0.0.1", 0))
                assert_healthy(estab.hold(f"127.0.0.1:{bound.getsockname()[1]}", connections=3, duration_s=0.1))
        """
    )
    done = project.runpytest_subprocess(*WITH_PLUGIN)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*0 of 3 connected*", "*3 failures: connect ECONNREFUSED*", "*nobody_listening*"])


def test_a_target_that_cannot_be_is_an_error_of_the_test(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(estab):\n    estab.hold('127.0.0.1:0')\n")
    done = project.runpytest_subprocess(*WITH_PLUGIN)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*UsageError: *port 0*"])


def test_collection_imports_nothing_of_estab(fresh_project: pytest.Pytester) -> None:
    """Projects with the plugin installed pay for it only in tests that use it."""
    fresh_project.makepyfile(
        """
        import sys

        def test_it():
            assert {name for name in sys.modules if name.startswith("estab")} == {"estab", "estab.pytest_plugin"}
        """
    )
    fresh_project.runpytest_subprocess(*WITH_PLUGIN).assert_outcomes(passed=1)


def test_the_fixture_explains_itself(project: pytest.Pytester) -> None:
    done = project.runpytest_subprocess(*WITH_PLUGIN, "--fixtures")
    done.stdout.fnmatch_lines(["estab -- *", "*Loads servers from a test*"])
    done = project.runpytest_subprocess(*WITH_PLUGIN, "--help")
    done.stdout.fnmatch_lines(["*--estab-json=DIR*"])


def test_pytest_loads_the_plugin_by_itself(fresh_project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.value for found in ANNOUNCED] == ["estab.pytest_plugin"]
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    fresh_project.makepyfile("def test_it(estab):\n    assert estab.runs == []\n")
    fresh_project.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_example_passes_and_fails_with_a_short_backlog(project: pytest.Pytester) -> None:
    example = (Path(__file__).parents[2] / "examples" / "test_backlog.py").read_text()
    project.makepyfile(test_backlog=example)
    project.runpytest_subprocess(*WITH_PLUGIN).assert_outcomes(passed=1)
    project.makepyfile(test_backlog=example.replace("request_queue_size = 1024", "request_queue_size = 5"))
    done = project.runpytest_subprocess(*WITH_PLUGIN)
    done.assert_outcomes(failed=1)
    assert "cause: accept_queue_overflow, at the server" in done.stdout.str()


ALL_THAT_THE_LIBRARY_TAKES = """
def test_everything(estab):
    options = estab.LoadOptions(timeout_s=1, processes=1, service=estab.Service("echo", backlog=512))
    with estab.Stop() as stop:
        estab.hold(connections=20, duration_s=0.05, ramp_per_s=2000, reset=True, trickle_per_s=100, options=options)
        estab.bench(connections=2, duration_s=0.1, size_bytes=9, depth=2, options=options, stop=stop)
        estab.churn(connections=2, duration_s=0.1, close="rst", options=options, progress=lambda now: None)
    assert [run.command for run in estab.runs] == ["hold", "bench", "churn"]
    assert all(run.config["processes"] == 1 and run.config["embedded"] for run in estab.runs)
    assert [run.failures for run in estab.runs] == [[], [], []]
    estab.save_run(estab.runs[0], "kept.json")
"""


def test_the_fixture_takes_what_the_library_takes(project: pytest.Pytester) -> None:
    project.makepyfile(ALL_THAT_THE_LIBRARY_TAKES)
    project.runpytest_subprocess(*WITH_PLUGIN).assert_outcomes(passed=1)
    assert estab.load_run(project.path / "kept.json").funnel.completed == 20
