"""`estab limits`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from estab.cli.options import DEFAULT_OUTPUT, OutputFlags
from estab.cli.show import FAILED, OK, JsonFile, console
from estab.cli.values import Command, Target, Whole

if TYPE_CHECKING:
    from estab.records import Limits


def limits(
    target: Target | None = None,
    /,
    *,
    pid: Annotated[Whole | None, Parameter(metavar="PID")] = None,
    listen: Target | None = None,
    server_via: Command | None = None,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """How many connections can I have from here to there: every limit on the way, the first to be met first.

    Each with its value, what is used, how many connections more it allows, the command that raises it, and what must
    be restarted then. Nothing is connected and nothing is changed. Exit code 1 where a limit is met already.

    Example: estab limits 127.0.0.1:8080

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, or a URL. For a server on this host also :PORT, a PID, or a program's name, as nginx.
        Default: this host as a client, whatever it connects to.
    pid
        Instead of TARGET: the local server that is this process.
    listen
        Instead of TARGET: the local server that listens there, as :8080.
    server_via
        A command that prints the server's side as estab.snapshot/1 lines: "ssh host estab observe --count 1".
    output.json
        Write the ladder as JSON (estab.limits/1) to this file; `-` is standard output, and nothing else is on it then.
    output.quiet
        No report; the exit code tells.
    """
    from estab.api.limits import limits as climb
    from estab.api.local_server import find, is_local_name
    from estab.diagnose.ladder import is_met

    json_file = JsonFile(output.json)
    if target is not None and pid is None and listen is None and is_local_name(target):
        server = find(target)
        target, pid, listen = None, server.pid, None if server.port is None else f":{server.port}"
    ladder = climb(target, pid=pid, listen=listen, server_via=server_via)
    json_file.write(ladder)
    if output.shows_report:
        _print(ladder)
    return FAILED if is_met(ladder) else OK


def _print(ladder: Limits) -> None:
    from estab.report.ladder import render_limits

    render_limits(ladder, console())
    sys.stdout.flush()
