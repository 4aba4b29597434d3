"""`estab`: finds the command, runs it, and turns whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Sequence

import cyclopts

from estab import __version__
from estab.cli.show import INTERRUPTED, MACHINE, USAGE
from estab.errors import EstabError

app = cyclopts.App(
    name="estab",
    help="Why do my TCP connections fail, and how many can I have?",
    help_epilogue="Example: `estab hold 127.0.0.1:8080 -n 1000`. "
    "Exit codes: 0 nothing went wrong, 1 connections failed or a limit was met, "
    "2 usage or unreadable input, 3 this machine can't do it, 130 interrupted.",
    version=__version__,
    result_action="return_value",
)
COMMANDS = {
    "limits": "How many connections can I have: every limit from here to there, the first to be met first.",
    "serve": "Run a server to load: echo, sink or stall.",
    "bench": "Measure an echo server: requests a second, latency, and which limit was met.",
    "hold": "Open many connections, hold them, close them: how many can I have?",
    "churn": "Connect and close in a loop, as clients without a connection pool do.",
    "observe": "See what the kernel shows: listeners, sockets, counters and limits, as lines of JSON.",
    "diagnose": "Judge recorded runs and snapshots, or this host now.",
    "lab": "Reproduce failures in network namespaces: predicted, measured, judged, each remedy tried.",
}
for _name, _help in COMMANDS.items():
    # Named, not imported: a command's module is loaded when it is called, so that --help starts fast.
    app.command(
        f"estab.cli.{_name}:{_name}", name=_name, help=_help, sort_key=list(COMMANDS).index(_name), help_epilogue=""
    )


def _stdout_is_gone() -> None:
    # What is still buffered can't be written; without this, Python would say so once more at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print("estab: standard output was closed before all was written", file=sys.stderr)


def _fill_standard_descriptors() -> None:
    """Where 0, 1 or 2 is closed, /dev/null takes its place: else the next file opened would, and be written to."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def run(arguments: Sequence[str] | None = None) -> None:
    """The command line's entry: exits with the code that the help names."""
    _fill_standard_descriptors()
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    code = _run(tokens)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _stdout_is_gone()
        code = code or 1
    sys.exit(code)


def _run(tokens: list[str]) -> int:
    try:
        result = app(tokens, print_error=False, exit_on_error=False)
    except BrokenPipeError:
        _stdout_is_gone()
        return 1
    except (Exception, KeyboardInterrupt) as error:
        said, code = _explain(error, tokens)
        print(f"estab: {' '.join(said.split())}", file=sys.stderr)
        return code
    return result if isinstance(result, int) else 0


def _explain(error: BaseException, tokens: list[str]) -> tuple[str, int]:
    """One line and an exit code for whatever ended a command."""
    match error:
        case cyclopts.CycloptsError():
            return f"{error} (estab {_command(tokens)}--help lists the options)", USAGE
        case EstabError():
            return str(error), error.exit_code
        case OSError():
            hint = f"; `ulimit -n` is {_nofile()}, raise it" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
            return f"{error}{hint}", MACHINE
        case KeyboardInterrupt():
            return "interrupted", INTERRUPTED
    if os.environ.get("ESTAB_TRACEBACK"):
        raise error
    what = f"a fault of estab's own: {type(error).__name__}: {error}"
    return f"{what}; ESTAB_TRACEBACK=1 shows where, please report it", MACHINE


def _nofile() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _command(tokens: list[str]) -> str:
    return f"{tokens[0]} " if tokens and tokens[0] in COMMANDS else ""
