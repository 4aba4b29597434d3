"""`estab lab run`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from estab.cli import lab_keep, lab_settings
from estab.cli.lab_progress import Standing
from estab.cli.options import DEFAULT_OUTPUT, OutputFlags
from estab.cli.show import FAILED, INTERRUPTED, MACHINE, OK, JsonFile, console, status_line, stoppable
from estab.cli.values import Command, Directory, Flag, Whole
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.records.lab import LabResult, LabScenario


def run(
    *name: str,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="", metavar="KEY=VALUE")] = None,
    full: Flag = False,
    sweep: Flag = False,
    pcap: Directory | None = None,
    server: Command | None = None,
    keep: Flag = False,
    jobs: Whole | None = None,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Reproduce failures in network namespaces: predicted, measured, judged, and each remedy of the verdict tried.

    Exit code 1 where one came otherwise than predicted.

    Example: estab lab run accept_queue_overflow --set connections=200 --set rtt=20ms --pcap .

    Parameters
    ----------
    name
        Scenarios to run, or all. With --help: what --set takes in them.
    set_
        KEY=VALUE, a setting of the scenario; more than one may be given.
    full
        Timelines in real time: some scenarios then take minutes.
    sweep
        Nothing but the ceilings at several sizes, for path_flow_table_full; --set sweep=1000,2000 says which.
    pcap
        A directory for captures of both ends (pcapng, with comments).
    server
        A server of your own in place of ours, as "python app.py {port}"; {host} and {port} are filled in. Does it
        survive? Remedies that are settings of our server then change nothing.
    keep
        Stay inside afterwards, with all of it still up, and print how to enter each host (nsenter) and what to look
        at; Enter or Ctrl-C leaves.
    jobs
        How many scenarios are run side by side, where there are several: most of their time is waiting. By default one
        more than cores, 4 at the most; 1 runs one after the other.
    output.json
        Write the result as JSON (estab.lab/1) to this file; `-` is standard output, and nothing else is on it then.
    """
    from rich.console import Console

    from estab.lab.parts.scenario import names
    from estab.lab.run.session import lab
    from estab.report.lab import render_end, render_scenario

    if not name:
        raise UsageError("lab run needs a scenario: estab lab run cookie_reset, or all; estab lab list names them")
    settings = lab_settings.read(name, set_ or [])
    if keep:
        lab_keep.check(name)
    json_file = JsonFile(output.json)
    silent = output.quiet or output.json == "-"
    printer = console(quiet=silent)
    standing = Standing(names() if "all" in name else name)

    with stoppable() as stop, status_line(output) as show:

        def finished(done: LabScenario) -> None:
            show("")
            render_scenario(done, printer)
            sys.stdout.flush()

        result = lab(
            name, settings=settings, full=full, sweep=sweep, captures=pcap, command=server, jobs=jobs, stop=stop,
            finished=finished, told=lambda name, stage: show(standing.told(name, stage)),
            inside=lab_keep.waiting(Console(stderr=silent), stop, show) if keep else None,
        )  # fmt: skip
    json_file.write(result)
    render_end(result, printer)
    sys.stdout.flush()
    return _exit_code(result)


def _exit_code(result: LabResult) -> int:
    if result.interrupted:
        return INTERRUPTED
    came = [scenario.status for scenario in result.scenarios]
    if "differs" in came or "failed" in came:
        return FAILED
    return MACHINE if came and all(status == "cannot_run" for status in came) else OK
