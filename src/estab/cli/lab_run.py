"""`estab lab run`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from estab.cli import lab_keep, lab_settings
from estab.cli.lab_progress import Standing
from estab.cli.live_block import glyphs, live_block
from estab.cli.options import DEFAULT_REPORT, ReportFlags
from estab.cli.show import FAILED, INTERRUPTED, MACHINE, OK, JsonFile, console, show, stoppable
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
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Reproduce failures in network namespaces: predict, measure, find the cause, and try each remedy of the verdict.

    Exit code 1 if a scenario did not go as predicted.

    Example: estab lab run accept_queue_overflow --set connections=200 --set rtt=20ms --pcap .

    Parameters
    ----------
    name
        Scenarios to run, or all. With --help: their settings.
    set_
        A setting of the scenario (rtt=20ms); may be repeated.
    full
        Run timelines in real time; some scenarios then take minutes.
    sweep
        Only find the ceiling at several sizes, for path_flow_table_full; --set sweep=1000,2000 sets them.
    pcap
        Write captures of both ends into this directory (pcapng, with comments).
    server
        Use your own server ("python app.py {port}"); {host} and {port} are filled in. Remedies that are settings of
        estab's server then change nothing.
    keep
        Keep everything up afterwards, and print how to enter each host (nsenter) and what to look at; Enter or Ctrl-C
        ends it.
    jobs
        How many scenarios to run at a time; they mostly wait. Default: two more than cores, at most 4, and 3
        more of those that only wait for timers.
    output.json
        Write the result as JSON (estab.lab/1) to this file; `-` is standard output, which then gets nothing else.
    """
    from rich.console import Console

    from estab.lab.parts.scenario import names
    from estab.lab.run.session import lab
    from estab.report.answer.lab import answer_end, answer_scenario, brief_lab
    from estab.report.lab import render_end, render_scenario

    if not name:
        raise UsageError("lab run needs a scenario: estab lab run cookie_reset, or all; estab lab list names them")
    settings = lab_settings.read(name, set_ or [])
    if keep:
        lab_keep.check(name)
    json_file = JsonFile(output.json)
    silent = not output.shows_report
    printer = console(quiet=silent or output.brief)
    chosen = names() if "all" in name else name
    standing = Standing(chosen, glyphs())

    with stoppable() as stop, live_block(output) as draw:

        def finished(done: LabScenario) -> None:
            draw([])
            if output.verbose:
                render_scenario(done, printer)
            else:
                answer_scenario(done, printer, alone=len(chosen) == 1)
            sys.stdout.flush()

        result = lab(
            name, settings=settings, full=full, sweep=sweep, captures=pcap, command=server, jobs=jobs, stop=stop,
            finished=finished, told=lambda name, stage: draw(standing.told(name, stage)),
            inside=lab_keep.waiting(Console(stderr=silent), stop, draw) if keep else None,
        )  # fmt: skip
    json_file.write(result)
    show(output, partial(brief_lab, result), partial(answer_end, result), partial(render_end, result))
    return _exit_code(result)


def _exit_code(result: LabResult) -> int:
    if result.interrupted:
        return INTERRUPTED
    came = [scenario.status for scenario in result.scenarios]
    if "differs" in came or "failed" in came:
        return FAILED
    return MACHINE if came and all(status == "cannot_run" for status in came) else OK
