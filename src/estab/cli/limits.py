"""`estab limits`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from cyclopts import Parameter

from estab.cli.options import DEFAULT_REPORT, ReportFlags
from estab.cli.show import FAILED, OK, JsonFile, show
from estab.cli.values import Command, Target, Whole


def limits(
    target: Target | None = None,
    /,
    *,
    pid: Annotated[Whole | None, Parameter(metavar="PID")] = None,
    listen: Target | None = None,
    server_via: Command | None = None,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """How many connections can I have from here to there: every limit on the way, tightest first.

    Each with its value, how much is used, how many more connections it allows, the command that raises it, and what
    then needs a restart. Nothing is connected and nothing is changed. Exit code 1 if a limit is already met.

    Example: estab limits 127.0.0.1:8080

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, or a URL. For a server on this host also :PORT, unix:/path, a PID, or the name of a
        program (nginx).
        Default: this host as a client, whatever it connects to.
    pid
        Instead of TARGET: the local server with this PID.
    listen
        Instead of TARGET: the local server that listens there (:8080).
    server_via
        Command that prints snapshots of the server's host: "ssh HOST estab observe --count 1".
    output.json
        Write the limits as JSON (estab.limits/1) to this file; `-` is standard output, which then gets nothing else.
    output.quiet
        Print nothing; only set the exit code.
    """
    from estab.api.limits import limits as climb
    from estab.api.local_server import find, is_local_name
    from estab.diagnose.ladder import is_met
    from estab.report.answer.limits import answer_limits, brief_limits
    from estab.report.ladder import render_limits

    json_file = JsonFile(output.json)
    if target is not None and pid is None and listen is None and is_local_name(target):
        server = find(target)
        target, pid, listen = None, server.pid, None if server.port is None else f":{server.port}"
    ladder = climb(target, pid=pid, listen=listen, server_via=server_via)
    json_file.write(ladder)
    show(output, partial(brief_limits, ladder), partial(answer_limits, ladder), partial(render_limits, ladder))
    return FAILED if is_met(ladder) else OK
