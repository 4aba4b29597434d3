"""`estab diagnose`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from estab.cli import input_file
from estab.cli.input_file import InputFile
from estab.cli.options import DEFAULT_OUTPUT, OutputFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, console, exit_code, finish, status_line, stoppable
from estab.cli.values import Seconds
from estab.errors import UsageError
from estab.words import plural

if TYPE_CHECKING:
    from estab.records import Diagnosis


def diagnose(*files: InputFile, interval: Seconds = 2.0, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Judge recorded runs and snapshots; with no FILE, judge this host now.

    Snapshots (what `estab observe` prints) are taken together: the first and the last, with the time between them,
    give what changed; where that names no cause, each is set against the one before. A single one tells only what one
    moment can, and the judge says so.

    Example: estab hold 10.0.0.5:5000 -n 400 --json run.json; estab diagnose run.json

    Parameters
    ----------
    files
        Recorded runs (estab.run/1) or snapshots (estab.snapshot/1, one a line); `-` is standard input.
    interval
        With no FILE: the time between the two looks at this host, as 500ms or 5s.
    output.json
        Write the run with its verdict (estab.run/1), or the verdict on snapshots or this host (estab.diagnosis/1), as
        JSON to this file; `-` is standard output, and nothing else is on it then.
    """
    if not files:
        return _this_host(interval, output)
    return _files(files, output)


def _this_host(interval: float, output: OutputFlags) -> int:
    from estab.api.files import diagnose_host

    json_file = JsonFile(output.json)
    with stoppable() as stop, status_line(output) as show:
        show(f"looking at this host for {interval:g} s")
        diagnosis = diagnose_host(interval, stop)
    if diagnosis is None:
        raise KeyboardInterrupt
    return _show(diagnosis, f"this host, {interval:g} s", output, json_file)


def _files(files: tuple[str, ...], output: OutputFlags) -> int:
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


def _show(diagnosis: Diagnosis, title: str, output: OutputFlags, json_file: JsonFile) -> int:
    json_file.write(diagnosis)
    if output.shows_report:
        from estab.report.text import render_diagnosis

        render_diagnosis(diagnosis, title, console())
    return FAILED if diagnosis.cause else OK
