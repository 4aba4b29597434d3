"""`estab` as a process of its own that is a fork of this one: nothing is imported again, which takes 0.2 s each time.

It has what a test asks of a process: arguments, standard streams, environment, directory, limits, session, signals and
an exit code. It has not: a start of Python's own, nor its command line in /proc. What is asked of those is executed.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests import assembled_once

from estab import _engine
from estab.cli import main
from estab.cli.app import call
from estab.lab.process import launch
from estab.lab.run import runner  # noqa: F401  (all that the lab's own process needs)
from estab.load import pyengine, worker  # noqa: F401  (all that a worker needs)


def warm() -> None:
    """Runs some commands in this process: what a command does for the first time, each fork would do again.

    That is to import, to compile patterns, to fill caches of what never changes: 10 to 20 ms of 50 to 100.
    """
    assembled_once.install()
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        record = str(Path(folder, "run.json"))
        call(["hold", "-n", "1", "-d", "10ms", "--json", record])
        call(["diagnose", record])
        call(["limits"])


def forked(
    *arguments: str, nofile: int | None = None, env: Mapping[str, str] | None = None, mortal: bool = False
) -> dict[str, Any]:
    """What subprocess.run() and Popen() take to start `estab` with `arguments`, perhaps under `ulimit -n`.

    `mortal`: it is killed when the thread that starts it ends.
    """

    def run() -> None:
        if nofile is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
        main.run(arguments)

    return forked_call(run, "estab", *arguments, env=env, mortal=mortal)


def forked_without(
    missing: Collection[str], using: str, *arguments: str, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """`estab` where the modules `missing` are not installed. `using`: the part of estab that imports them."""

    def run() -> None:
        forget(*missing, using)
        sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None: not found
        main.run(arguments)

    return forked_call(run, "estab", *arguments, env=env)


def forget(*packages: str) -> None:
    """As if nothing of these packages had been imported: for a fork, before it does anything else."""
    for name in list(sys.modules):
        if any(name == package or name.startswith(f"{package}.") for package in packages):
            del sys.modules[name]


def forked_call(
    work: Callable[[], object],
    *command: str,
    env: Mapping[str, str] | None = None,
    mortal: bool = False,
    pass_fds: Sequence[int] = (),
) -> dict[str, Any]:
    """The same for any function: a process that is called `command[0]`, and ends with `work` or as it exits."""

    def become() -> NoReturn:
        if mortal:
            _engine.die_with_parent()
        _run(work, command[0], dict(os.environ if env is None else env), pass_fds)

    return {"args": command, "preexec_fn": become, "restore_signals": False, "pass_fds": pass_fds}


def _has_threads() -> bool:
    """Whether a test has started some: a lock that one of them holds would stay locked in a fork for ever."""
    return threading.active_count() > 1


class ForkedLab:
    """Takes the place of `subprocess` in `estab.lab.process.launch`: the lab's own process is a fork too."""

    PIPE, TimeoutExpired = subprocess.PIPE, subprocess.TimeoutExpired

    @staticmethod
    def Popen(command: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:  # noqa: N802
        """The process that `command` would execute: Python with a line of code and its arguments."""
        if _has_threads():
            return subprocess.Popen(command, **streams)
        line = command.index("-c")

        def main() -> None:
            sys.argv = ["-c", *command[line + 2 :]]
            exec(command[line + 1], {})  # as Python would

        return subprocess.Popen(**forked_call(main, "estab", "lab"), **streams)


class ForkedWorkers:
    """Takes the place of `subprocess` in `estab.load.fleet`: a load's workers are forks too."""

    PIPE, DEVNULL, TimeoutExpired = subprocess.PIPE, subprocess.DEVNULL, subprocess.TimeoutExpired

    @staticmethod
    def Popen(_command: Sequence[str], *, pass_fds: Sequence[int], **streams: Any) -> subprocess.Popen[bytes]:  # noqa: N802
        """A worker with these descriptors."""
        return subprocess.Popen(**forked_call(worker.main, "estab", "worker", pass_fds=pass_fds), **streams)


def fork_the_lab() -> None:
    """From here on the lab's own process is a fork, in this process and in forks of it."""
    launch.subprocess = ForkedLab


def _run(work: Callable[[], object], name: str, environment: dict[str, str], keep: Sequence[int]) -> NoReturn:
    """What the child does in place of execve(2)."""
    code: object = 1
    try:
        _reset_process(name, environment, keep)
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def _reset_process(name: str, environment: dict[str, str], keep: Sequence[int]) -> None:
    """Takes from this process what execve(2) would have taken, and what Python sets when it starts."""
    gc.freeze()  # else a socket that is garbage of the parent's would close, once collected, what has its number then
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)
    encoding = environment.get("PYTHONIOENCODING")
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    Path("/proc/self/comm").write_text(name)
    # The last is the pipe by which subprocess hears that the program was started: it waits no longer.
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in keep:
            with contextlib.suppress(OSError):
                os.close(number)
