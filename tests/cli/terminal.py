"""Running the `estab` command as a user does, in a process of its own: `tests.forked` says how.

But for what only reads files, and for what is refused before it begins: that runs in this process, for what draws a
page takes a while to start.
"""

from __future__ import annotations

import contextlib
import io
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.forked import forked

from estab.cli.app import call
from estab.records import RUN_SCHEMA, RunResult, decode

ESTAB = str(Path(sys.executable).with_name("estab"))  # the installed script, for what executes it


def estab(*arguments: str, nofile: int | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs `estab` to its end, perhaps under `ulimit -n`."""
    return subprocess.run(
        **forked(*arguments, nofile=nofile), capture_output=True, text=True, check=False, timeout=timeout
    )


def started(*arguments: str) -> subprocess.Popen[str]:
    """`estab` at work, with pipes for what it says."""
    return subprocess.Popen(**forked(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def called(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What `estab` says and writes, run in this process: for commands that start none and wait for nothing."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = call(arguments)
    printed = out.detach()
    assert isinstance(printed, io.BytesIO)
    return subprocess.CompletedProcess(arguments, code, printed.getvalue().decode(), err.getvalue())


@contextlib.contextmanager
def serving(
    *arguments: str, listen: str = "127.0.0.1:0", nofile: int | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`estab serve`, from when it says that it listens until the block ends. Gives HOST:PORT and the process.

    Nobody connects to see whether it listens: that would cost a port, or might meet itself.
    """
    command = forked("serve", *(arguments or ("echo",)), "--listen", listen, nofile=nofile)
    process = subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 20)[0], "estab serve said nothing"
        line = process.stdout.readline()
        listening = re.match(r"listening on (\S+), backlog", line)
        assert listening, line or process.communicate()
        yield listening[1], process
    finally:
        process.terminate()
        _out, err = process.communicate(timeout=10)
        assert "Traceback" not in err


def recorded(done: subprocess.CompletedProcess[str]) -> RunResult:
    """The run that `--json -` printed; fails with what was said where there is none."""
    assert done.stdout, f"exit {done.returncode}, no JSON; stderr: {done.stderr}"
    return decode(done.stdout.encode(), RunResult, RUN_SCHEMA)


def assert_one_clear_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """The exit code, one line on stderr with these words in it, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("estab: ")
    for word in words:
        assert word in lines[0]
