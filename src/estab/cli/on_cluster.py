"""`--cluster` of the loads: the same plan on every host of a Dask cluster."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from estab.cli.options import LoadFlags, Output
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, paper, progress_on, status_line, stoppable
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.cluster.run import ClusterProgress
    from estab.records.cluster import ClusterResult


def run_on_cluster(
    command: str, target: str | None, connections: int, options: LoadFlags, asked: dict[str, Any]
) -> int:
    """A load on every host of the cluster that `--cluster` names; shows what came. Returns the exit code."""
    client, output = options.client, options.output
    if client.repeat != 1:
        raise UsageError("--repeat with --cluster: run the command again for each; estab compare reads the totals")
    options.embedded.service(target)
    json_file = JsonFile(output.json)
    arguments = {
        "connections": connections,
        "timeout_s": client.timeout,
        "sources": tuple(client.source or ()),
        "workers": client.processes,
        "server_via": client.server_via,
        **asked,
    }
    result = _run(command, str(client.cluster), target, arguments, output)
    json_file.write(result)
    if not output.quiet and output.json != "-":
        from estab.report.cluster import render_cluster

        render_cluster(result, paper())
        sys.stdout.flush()
    return _exit_code(result)


def _run(command: str, address: str, target: str | None, arguments: dict[str, Any], output: Output) -> ClusterResult:
    from estab.cluster.run import run

    with stoppable() as stop, progress_on(output, arguments["connections"]) as show, status_line(output) as say:

        def told(now: ClusterProgress) -> None:
            show(now.progress)

        return run(command, address, target, arguments, stop=stop, progress=told, told=say)


def _exit_code(result: ClusterResult) -> int:
    """As of one run; a host that was lost counts as a worker that was."""
    if result.interrupted:
        return INTERRUPTED
    run = result.total
    lost = any(one.lost for one in result.hosts) or (result.server is not None and result.server.lost is not None)
    lost = lost or any(worker.lost for worker in run.client.workers)
    cause = run.diagnosis is not None and run.diagnosis.cause is not None
    return FAILED if run.failures or cause or lost else OK
