"""What a terminal gets that knows little: no escapes where it understands none, no colours where none are wanted."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest
from tests.forked import forked

COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|38|48)[;m]")


def on_a_terminal(*arguments: str, by: tuple[str, ...] = (), **environment: str) -> bytes:
    """All that `estab` writes to a terminal, on stdout and stderr; `by`: the command that starts another."""
    ours, theirs = pty.openpty()
    done = {**{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM", "CI")}, **environment}
    start: dict[str, Any] = {"args": [*by, *arguments], "env": done} if by else forked(*arguments, env=done)
    with subprocess.Popen(**start, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:  # EIO: the last writer is gone
            pass
        os.close(ours)
        assert process.wait(30) == 0, said
    return said


@pytest.mark.parametrize("command", [("hold", "-n", "5", "-d", "0.2"), ("limits",)])
def test_a_terminal_without_escapes_gets_none(command: tuple[str, ...]) -> None:
    assert b"\x1b" not in on_a_terminal(*command, TERM="dumb")


def test_the_status_line_is_wiped_with_blanks_there() -> None:
    said = on_a_terminal("hold", "-n", "5", "-d", "0.2", TERM="dumb", COLUMNS="60")
    assert b"5 open" in said
    assert b"\r" + b" " * 59 + b"\r" in said


def test_no_colour_where_none_is_wanted() -> None:
    command = ("hold", "-n", "5", "-d", "0.2")
    assert not COLOUR.search(on_a_terminal(*command, TERM="xterm-256color", NO_COLOR="1"))
    assert COLOUR.search(on_a_terminal(*command, TERM="xterm-256color"))


# A shell with job control, as far as it matters: a session of its own on the terminal, and a job in the foreground or,
# in a process group of its own that the terminal was not given to, in the background.
SHELL = """
import fcntl, os, subprocess, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
group = 0 if sys.argv[1] == "background" else None
sys.exit(subprocess.run(sys.argv[2:], process_group=group).returncode)
"""


@pytest.mark.parametrize(("job", "drawn"), [("foreground", True), ("background", False)])
def test_a_background_job_does_not_draw_over_the_prompt(job: str, drawn: bool) -> None:
    said = on_a_terminal(
        job, sys.executable, "-m", "estab", "hold", "-n", "5", "-d", "0.2",
        by=(sys.executable, "-c", SHELL), TERM="xterm",
    )  # fmt: skip
    assert (b"5 open" in said) is drawn
    assert b"no limit met" in said, "the report is printed either way"
