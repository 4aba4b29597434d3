"""What a remedy or a limit names can be typed: estab's own command lines parse, a shell's too; sysctls are there."""

from __future__ import annotations

import functools
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.diagnose import runs

from estab.api.limits import limits
from estab.cli.app import app, find
from estab.diagnose.suspects import CAUSES
from estab.observe.sysctls import NAMES
from estab.records import RunResult

pytestmark = pytest.mark.xdist_group("test_remedies")  # one process computes them all
# `estab` with a command, and what follows it as far as it is options with their values: prose may come after.
COMMAND_LINE = re.compile(r"\bestab ([a-z]+(?: -[\w-]+(?: [A-Za-z0-9.:/]+)?)*)")
COMMENT = re.compile(r"\s+#.*")
PLACEHOLDER = re.compile(r"\b[A-Z]+\b")  # as N in `-c N`
# What begins so is a command for a shell; all else is a line of a program's own settings, or prose.
SHELL = re.compile(
    r"(conntrack|ethtool|for|ip6?tables|ip|journalctl|ls|mtr|nft|nstat|ping|prlimit|py-spy|ss|sysctl|tcpdump|timeout|top"
    r"|ulimit|watch)\b(?! accept)"
)
SYSCTL = re.compile(r"\b(?:net|fs|kernel|vm)(?:\.[\w-]+)+")
# Gone since Linux 4.12: it stands under what does nothing.
GONE = "net.ipv4.tcp_tw_recycle"
# A network namespace of a test's own does not have these (net/core/neighbour.c neigh_sysctl_register).
OF_THE_MACHINE = {
    f"net.{family}.neigh.default.gc_thresh{number}" for family in ("ipv4", "ipv6") for number in (1, 2, 3)
}


def parsed(words: list[str]) -> None:
    """Raises where the command line would refuse it."""
    app.parse_args([PLACEHOLDER.sub("1", word) for word in words], print_error=False, exit_on_error=False)


def every_run() -> Iterator[RunResult]:
    """One of each kind that the tests of the judge build, against a target and beside the embedded server."""
    for _name, make in inspect.getmembers(runs, inspect.isfunction):
        if inspect.signature(make).return_annotation == "RunResult" and make.__module__ == runs.__name__:
            run = make()
            yield run
            yield run.replace(server=run.server.replace(embedded=True))
            yield run.replace(server=run.server.replace(listeners=[runs.watch(inode=3), runs.watch(inode=4)]))
            yield from (run.replace(command=command) for command in ("bench", "churn"))


@functools.cache  # not at import: every worker of pytest imports each file, and one runs the tests
def texts() -> list[tuple[str, str]]:
    """What all remedies of all causes say, each with the command of the run that they were computed from."""
    found = {
        (run.command, text)
        for run in every_run()
        for cause in CAUSES
        for remedy in cause.remedies(run)
        for text in (remedy.command, remedy.why)
    }
    return sorted(found)


def test_there_are_remedies_to_test() -> None:
    assert len(texts()) > 100
    assert any(text.startswith("--") for _command, text in texts())
    assert any(COMMAND_LINE.search(text) for _command, text in texts())


def test_command_lines_are_told_from_prose() -> None:
    assert COMMAND_LINE.findall("a pool (estab bench -c 50 shows it); or estab hold --source A") == [
        "bench -c 50", "hold --source A",
    ]  # fmt: skip


def test_a_command_that_a_remedy_names_parses() -> None:
    for line in sorted({line for _command, text in texts() for line in COMMAND_LINE.findall(text)}):
        parsed(line.split())


def test_an_option_that_a_remedy_names_is_one_of_the_run_s_command() -> None:
    for command, text in texts():
        if text.startswith("--"):
            parsed([command, *COMMENT.sub("", text).split()])


def test_a_shell_reads_its_commands() -> None:
    lines = sorted({text for _command, text in texts() if SHELL.match(text)})
    assert len(lines) > 50
    for line in lines:
        read = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True, check=False)
        assert read.returncode == 0, f"{line}: {read.stderr}"


def test_a_sysctl_that_a_remedy_names_is_one() -> None:
    named = {name for _command, text in texts() for name in SYSCTL.findall(text)}
    unknown = named - {*NAMES, GONE, *OF_THE_MACHINE}
    assert {
        name for name in unknown if not Path("/proc/sys", *name.replace("INTERFACE", "lo").split(".")).exists()
    } == set()


def test_what_raises_a_limit_parses() -> None:
    for limit in (*limits("192.0.2.1:80").limits, *limits().limits):
        for line in COMMAND_LINE.findall(f"{limit.raise_with} {limit.restart}"):
            words, _command = find(line.split())
            assert words, line
            parsed(line.split())
