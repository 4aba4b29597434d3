"""`estab cluster check`."""

from __future__ import annotations

import sys

from cyclopts import App

from estab.cli.live_block import status_line
from estab.cli.options import DEFAULT_OUTPUT, OutputFlags
from estab.cli.show import MACHINE, OK, JsonFile, console

cluster = App(
    name="cluster",
    help_epilogue="To run a load there: `estab hold TARGET -n 100000 --cluster ADDRESS`. One worker per host makes the "
    "load. The worker on the server's host, started with `--resources estab-server=1`, watches the server's end.",
)
cluster.command("estab.cli.cluster:check", name="check")


def check(address: str, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Ask every worker of a Dask cluster for its estab version, limits, clock offset, and how much load it can make.

    Exit code 3 if a worker can't take part; it says why.

    Example: estab cluster check tcp://10.0.0.9:8786

    Parameters
    ----------
    address
        The scheduler's address (tcp://HOST:8786), or the file written by `dask scheduler --scheduler-file`.
    output.json
        Write each worker's answer as JSON (estab.cluster_check/1) to this file; `-` is standard output, which then gets
        nothing else.
    """
    from estab.cluster.check import check as ask

    json_file = JsonFile(output.json)
    with status_line(output) as show:
        answers = ask(address, told=show)
    json_file.write(answers)
    if output.shows_report:
        from estab.report.cluster import render_check

        render_check(answers, console())
        sys.stdout.flush()
    return MACHINE if any(worker.problem is not None for worker in answers.workers if worker.role != "idle") else OK
