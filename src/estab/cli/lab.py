"""`estab lab list`, `estab lab run`, `estab lab twin`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from estab.cli import input_file, lab_keep, lab_settings
from estab.cli.input_file import InputFile
from estab.cli.lab_progress import Standing
from estab.cli.options import DEFAULT_OUTPUT, OutputFlags
from estab.cli.show import FAILED, INTERRUPTED, MACHINE, OK, JsonFile, console, status_line, stoppable
from estab.cli.values import Number, Seconds, Whole
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.records.lab import LabResult, LabScenario


def lab(
    what: Literal["list", "run", "twin"],
    /,
    *names: InputFile,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    full: Annotated[bool, Parameter(negative="")] = False,
    sweep: Annotated[bool, Parameter(negative="")] = False,
    pcap: str | None = None,
    server: str | None = None,
    keep: Annotated[bool, Parameter(negative="")] = False,
    jobs: Whole | None = None,
    scale: Number = 1.0,
    connections: Whole | None = None,
    rtt: Seconds | None = None,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Reproduce failures in network namespaces: predicted, measured, judged, and each remedy tried.

    `estab lab list` names the scenarios (with NAME: its settings), `estab lab run NAME…` plays some, and
    `estab lab run all` all. As root or not; nothing of the host is changed, and nothing is left behind.

    `estab lab twin FILE` rebuilds the failure that a recorded run (--json FILE) or snapshots (estab observe) hold, says
    how near it came, and tries each remedy of its verdict.

    Example: estab lab run accept_queue_overflow --set connections=200 --set rtt=20ms --pcap .

    Parameters
    ----------
    what
        list, run or twin.
    names
        Scenarios to run, or all. For twin: the file of a recorded run, or of snapshots; `-` is standard input.
    set_
        KEY=VALUE, a setting of the scenario; more than one may be given. `estab lab list NAME` shows them.
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
        How many scenarios are played side by side, where there are several: most of their time is waiting. By default
        as many as cores, 4 at the most; 1 plays one after the other.
    scale
        For twin: times the connections and every bound (backlog, descriptors, ports) alike, as 0.1.
    connections
        For twin: how many clients there are, in place of what the record tells; snapshots only imply it.
    rtt
        For twin: the round-trip time between the hosts, in place of what the record tells, as 20ms.
    output.json
        Write the result as JSON to this file (estab.lab-list/1 of list, estab.lab/1 of run, estab.twin/1 of twin); `-`
        is standard output, and nothing else is on it then.
    """
    input_file.check(names)
    of_run = {"--set": set_, "--full": full, "--sweep": sweep, "--pcap": pcap, "--server": server, "--keep": keep,
              "--jobs": jobs}  # fmt: skip
    _only(what, "run", of_run)
    _only(what, "twin", {"--scale": None if scale == 1.0 else scale, "--connections": connections, "--rtt": rtt})
    if what == "twin":
        return _twin(names, scale, (connections, rtt), output)
    if what == "list":
        return _list(names, output)
    if not names:
        raise UsageError("lab run needs a scenario: estab lab run cookie_reset, or all; estab lab list names them")
    return _run(names, set_ or [], _How(full, sweep, pcap, server, keep, jobs), output)


def _only(what: str, of: str, options: Mapping[str, object]) -> None:
    """Raises UsageError for an option that was given and is another one's."""
    for name, value in options.items():
        if what != of and value not in (None, False):
            raise UsageError(f"{name} is for estab lab {of}; leave it out of estab lab {what}")


def _list(names: tuple[str, ...], output: OutputFlags) -> int:
    from estab.lab.run.listing import listed
    from estab.report.lab_list import render_list

    json_file = JsonFile(output.json)
    found = listed(names)
    json_file.write(found)
    if output.shows_report:
        render_list(found, console(), settings=bool(names))
        sys.stdout.flush()
    return OK


@dataclass(frozen=True)
class _How:
    full: bool
    sweep: bool
    pcap: str | None
    server: str | None
    keep: bool
    jobs: int | None


def _run(names: tuple[str, ...], changes: list[str], how: _How, output: OutputFlags) -> int:
    from rich.console import Console

    from estab.lab.parts.scenario import names as all_names
    from estab.lab.run.session import lab as play
    from estab.report.lab import render_end, render_scenario

    settings = lab_settings.read(names, changes)
    if how.keep:
        lab_keep.check(names)
    json_file = JsonFile(output.json)
    silent = output.quiet or output.json == "-"
    printer = console(quiet=silent)

    standing = Standing(all_names() if "all" in names else names)

    with stoppable() as stop, status_line(output) as show:

        def finished(done: LabScenario) -> None:
            show("")
            render_scenario(done, printer)
            sys.stdout.flush()

        result = play(
            names, settings=settings, full=how.full, sweep=how.sweep, captures=how.pcap, command=how.server,
            jobs=how.jobs, stop=stop, finished=finished, told=lambda name, stage: show(standing.told(name, stage)),
            inside=lab_keep.waiting(Console(stderr=silent), stop, show) if how.keep else None,
        )  # fmt: skip
    json_file.write(result)
    render_end(result, printer)
    sys.stdout.flush()
    return _exit_code(result)


def _exit_code(result: LabResult) -> int:
    if result.interrupted:
        return INTERRUPTED
    found = [one.status for one in result.scenarios]
    if any(one in ("differs", "failed") for one in found):
        return FAILED
    return MACHINE if found and all(one == "cannot_run" for one in found) else OK


def _twin(names: tuple[str, ...], scale: float, given: tuple[int | None, float | None], output: OutputFlags) -> int:
    """0: the twin showed the recorded cause; 1: it did not."""
    from estab.api.files import read_record
    from estab.lab.twin.session import twin
    from estab.report.twin import render_twin

    if len(names) != 1:
        raise UsageError("lab twin needs the file of one recorded run: estab hold ... --json FILE records one")
    connections, rtt_s = given
    json_file = JsonFile(output.json)
    record = read_record(names[0])  # a pipe may never come to its end: Ctrl-C must still end all at once
    with stoppable() as stop, status_line(output) as show:
        result = twin(
            names[0], scale=scale, connections=connections, rtt_s=rtt_s, record=record, stop=stop,
            told=lambda stage: show(f"twin  ·  {stage}"),
        )  # fmt: skip
    json_file.write(result)
    if output.shows_report:
        render_twin(result, console())
        sys.stdout.flush()
    if result.interrupted:
        return INTERRUPTED
    return OK if result.same_cause else FAILED
