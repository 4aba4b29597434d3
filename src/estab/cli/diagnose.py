"""`estab diagnose`."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING

from estab.cli import input_file
from estab.cli.input_file import InputFile
from estab.cli.options import DEFAULT_REPORT, ReportFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, exit_code, finish, show, status_line, stoppable
from estab.cli.values import Seconds
from estab.errors import UsageError
from estab.words import plural

if TYPE_CHECKING:
    from estab.records import Diagnosis


def diagnose(*file: InputFile, interval: Seconds = 2.0, output: ReportFlags = DEFAULT_REPORT) -> int:
    """Find the cause in recorded runs or snapshots; without FILE, on this host now.

    Snapshots (from `estab observe` or `estab watch --record`) are judged together: by what changed from the first to
    the last, and if that shows no cause, by what changed from each to the next. A single snapshot tells only what one
    moment can.

    Example: estab hold 10.0.0.5:5000 -n 400 --json run.json; estab diagnose run.json

    Parameters
    ----------
    file
        Recorded runs (estab.run/1) or snapshots (estab.snapshot/1, one per line); `-` is standard input. Or a server on
        this host, to look at now: :PORT, a PID, or the name of a program (nginx).
    interval
        Without a file: the time between the two looks at this host (500ms, 5s).
    output.json
        Write the run with its verdict (estab.run/1), or the verdict on snapshots or this host (estab.diagnosis/1), as
        JSON to this file; `-` is standard output, which then gets nothing else.
    """
    if not file:
        return _this_host(None, interval, output)
    if len(file) == 1 and not _is_file(file[0]):
        return _this_host(file[0], interval, output)
    return _files(file, output)


def _is_file(name: str) -> bool:
    """Whether it is to be read: it is there, or no listener has such a name."""
    url = "://" in name
    return not name or name[0] == "-" or os.path.exists(name) or (not url and bool(re.search(r"[/\s\\]|\.\w*$", name)))


def _this_host(listener: str | None, interval: float, output: ReportFlags) -> int:
    from estab.api.files import diagnose_host
    from estab.api.local_server import find

    json_file = JsonFile(output.json)
    try:
        server = None if listener is None else find(listener)
    except UsageError as error:
        raise UsageError(f"there is no file {listener}; as a listener: {error}") from error
    whose = "this host" if server is None else f"{listener} on this host"
    with stoppable() as stop, status_line(output) as say:
        say(f"looking at {whose} for {interval:g} s")
        diagnosis = diagnose_host(interval, stop, server=server)
    if diagnosis is None:
        raise KeyboardInterrupt
    return _show(diagnosis, f"{whose}, {interval:g} s", output, json_file)


def _files(files: tuple[str, ...], output: ReportFlags) -> int:
    from estab.api.files import diagnose as judge_run
    from estab.api.files import diagnose_snapshots, read_record
    from estab.records import RunResult

    input_file.check(files)
    records = [read_record(name) for name in files]
    runs = [judge_run(record) for record in records if isinstance(record, RunResult)]
    snapshots = [snapshot for record in records if not isinstance(record, RunResult) for snapshot in record]
    results = len(runs) + bool(snapshots)
    if output.json is not None and results > 1:
        raise UsageError(f"--json takes one result and the files hold {results}; give them one at a time")
    json_file = JsonFile(output.json)
    codes = [exit_code(run) for run in runs if finish(run, output, json_file) != INTERRUPTED]
    if snapshots:
        title = plural(len(snapshots), "snapshot")
        codes.append(_show(diagnose_snapshots(snapshots), title, output, json_file))
    return max(codes, default=OK)


def _show(diagnosis: Diagnosis, title: str, output: ReportFlags, json_file: JsonFile) -> int:
    from estab.report.answer.run import answer_diagnosis, brief_diagnosis
    from estab.report.text import render_diagnosis

    json_file.write(diagnosis)
    show(
        output,
        partial(brief_diagnosis, diagnosis),
        partial(answer_diagnosis, diagnosis, title),
        partial(render_diagnosis, diagnosis, title),
    )
    return FAILED if diagnosis.cause else OK
