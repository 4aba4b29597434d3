"""`estab diagnose`."""

from __future__ import annotations

from estab.cli.options import DEFAULT_OUTPUT, Output
from estab.cli.show import JsonFile, exit_code, finish
from estab.errors import UsageError


def diagnose(*files: str, output: Output = DEFAULT_OUTPUT) -> int:
    """Judge recorded runs anew: the files that --json wrote.

    Example: estab hold 10.0.0.5:5000 -n 400 --json run.json; estab diagnose run.json

    Parameters
    ----------
    files
        Recorded runs (estab.run/1), at least one.
    """
    from estab.api.files import diagnose as judge_file

    if not files:
        raise UsageError("no FILE was given; record one with --json FILE and give it here")
    if output.json is not None and len(files) > 1:
        raise UsageError(f"--json takes one result and {len(files)} files were given; give them one at a time")
    runs = [judge_file(name) for name in files]
    json_file = JsonFile(output.json)
    for run in runs:
        finish(run, output, json_file)
    return max((exit_code(run) for run in runs if not run.interrupted), default=0)
