"""`estab run`."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

from cyclopts import Parameter

from estab.cli.options import DEFAULT_REPORT, ReportFlags
from estab.cli.show import FAILED, INTERRUPTED, JsonFile, show
from estab.cli.values import Command, Flag, Target
from estab.errors import UsageError


def run(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True, metavar="COMMAND")],
    to: Target | None = None,
    server_via: Command | None = None,
    sampled: Flag = False,
    fail_on_cause: Flag = False,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Run a command, watch what its processes do with TCP, and judge it when it has ended.

    The command has the terminal, the standard streams and its signals; the exit code is its own. The verdict goes to
    standard error. Nothing is changed in it: any language, static binaries, whatever it starts. As root each
    connect is traced; else its sockets are looked at ten times a second, and what is counted is its network
    namespace's, other programs there included.

    Example: estab run --to 127.0.0.1:8080 -- python3 -c "import socket; socket.create_connection(('127.0.0.1', 8080))"

    Parameters
    ----------
    command
        The command and its arguments, after `--`.
    to
        The target to watch from the start on. Default: those that it is seen to connect to, and its own listeners.
    server_via
        Command that prints snapshots of the server's host, so that its end is seen too: "ssh HOST estab observe --port
        {port}". With --to it is seen before the command starts.
    fail_on_cause
        Exit with 1 where a cause is named and the command itself ended with 0.
    sampled
        Do not trace its connects, though root may: looks and counters alone.
    output.json
        Write the result as JSON to this file (estab.run/1); standard output is the command's.
    """
    from estab.api.program import run as watched
    from estab.report.answer.run import answer_run, brief_run
    from estab.report.text import render

    if not command:
        raise UsageError("a command is missing: estab run -- COMMAND ARGUMENTS")
    if output.json == "-":
        raise UsageError("standard output is the command's: give --json a file")
    json_file = JsonFile(output.json)
    record = watched(command, to=to, server_via=server_via, sampled=sampled, pass_signals=True)
    json_file.write(record)
    hint = "" if json_file.path is None else f"estab report {json_file.path}"
    shown = partial(brief_run, record), partial(answer_run, record, hint=hint), partial(render, record)
    code = record.program.exit if record.program is not None else None
    if code == INTERRUPTED and sys.stderr.isatty() and not output.quiet:
        print(file=sys.stderr)  # the terminal has written ^C
    show(output, *shown, stderr=True)
    return code or (FAILED if fail_on_cause and record.cause is not None else 0)
