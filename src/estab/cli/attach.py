"""`estab attach`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from cyclopts import Parameter

from estab.cli.live_block import status_line
from estab.cli.options import DEFAULT_REPORT, ReportFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, show, stoppable
from estab.cli.values import Command, Flag, Seconds


def attach(
    subject: Annotated[str, Parameter(metavar="SUBJECT")],
    /,
    *,
    duration: Annotated[Seconds, Parameter(name=("--duration", "-d"))] = 10.0,
    server_via: Command | None = None,
    sampled: Flag = False,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Watch for a while what a program that already runs does with TCP, and judge it.

    Its processes and what descends from them are seen from outside; nothing is changed in them. As root each connect is
    traced; else their sockets are looked at ten times a second, and what is counted is their network namespace's, other
    programs there included. Exit code 1 if a cause is named.

    Example: estab attach 127.0.0.1:8080 -d 1

    Parameters
    ----------
    subject
        A PID; :PORT or unix:/path, whoever listens there; HOST:PORT, what connects from here to there meet; the name
        of a program that listens; a systemd unit (nginx.service); a container's id or a pod's uid, or its first
        letters.
    duration
        How long to watch.
    server_via
        Command that prints snapshots of the server's host, so that its end is seen too: "ssh HOST estab observe --port
        {port}".
    sampled
        Do not trace its connects, though root may: looks and counters alone.
    output.json
        Write the result as JSON to this file (estab.run/1); `-` is standard output, which then gets nothing else.
    """
    from estab.api.program import attach as watched
    from estab.report.answer.run import answer_run, brief_run
    from estab.report.text import render

    json_file = JsonFile(output.json)
    with stoppable() as stop, status_line(output) as say:
        say(f"watching {subject} for {duration:g} s")
        record = watched(subject, duration, server_via=server_via, sampled=sampled, stop=stop)
    json_file.write(record)
    hint = "" if json_file.path is None else f"estab report {json_file.path}"
    show(output, partial(brief_run, record), partial(answer_run, record, hint=hint), partial(render, record))
    if record.interrupted:
        return INTERRUPTED
    return FAILED if record.cause is not None else OK
