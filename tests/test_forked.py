"""A forked `estab` is to a test what an executed one is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB
from tests.forked import forked

LOOK = """
import os, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(os.environ["HOME"], os.getcwd(), os.getsid(0) == os.getppid(), sorted(os.listdir("/proc/self/fd")))
print(*(status[name].strip() for name in ("SigBlk", "SigIgn")), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("hold", "-n", "0"), 2),
        (("run", "-q", "--", sys.executable, "-S", "-c", LOOK), 0),
        (("run", "-q", "--", "sh", "-c", "echo out; echo err >&2; exit 7"), 7),
    ],
    ids=["version", "bad input", "what a command of its own sees", "exit code"],
)
def test_it_says_and_does_the_same(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": "/elsewhere"}
    executed, as_fork = (
        subprocess.run(
            **start, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path, start_new_session=True
        )
        for start in ({"args": [ESTAB, *arguments], "env": environment}, forked(*arguments, env=environment))
    )
    assert (as_fork.stdout, as_fork.stderr) == (executed.stdout, executed.stderr)
    assert as_fork.returncode == executed.returncode == code


def test_it_has_so_many_descriptors_as_it_is_given() -> None:
    command = forked("run", "-q", "--", "sh", "-c", "ulimit -n", nofile=77)
    assert subprocess.run(**command, capture_output=True, text=True, check=True).stdout == "77\n"
