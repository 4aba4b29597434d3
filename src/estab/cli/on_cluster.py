"""`--cluster` of the loads: the same plan on every host of a Dask cluster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from estab.cli.live_block import live_block
from estab.cli.options import ClientFlags, ReportFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, load_progress, show, stoppable, telling
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.api.request import LoadOptions
    from estab.cluster.messages import Request
    from estab.cluster.run import ClusterProgress
    from estab.records.cluster import ClusterResult


def run_on_cluster(
    request: Request, target: str | None, options: LoadOptions, client: ClientFlags, output: ReportFlags
) -> int:
    """A load on every host of the cluster that `--cluster` names; shows what came. Returns the exit code."""
    from estab.cluster.run import run
    from estab.report.cluster import answer_cluster, brief_cluster, render_cluster

    if client.repeat != 1:
        raise UsageError("--repeat with --cluster: run the command again for each; estab compare reads the totals")
    json_file = JsonFile(output.json)
    with stoppable() as stop, live_block(output) as draw:
        tell = telling(draw, load_progress(request))

        def say(text: str) -> None:
            draw([[(text, "")]] if text else [])

        def told(now: ClusterProgress) -> None:
            tell(now.progress)

        result = run(request, str(client.cluster), target, options=options, stop=stop, progress=told, told=say)
    json_file.write(result)
    show(output, partial(brief_cluster, result), partial(answer_cluster, result), partial(render_cluster, result))
    return _exit_code(result)


def _exit_code(result: ClusterResult) -> int:
    """As of one run; a host that was lost counts as a worker that was."""
    if result.interrupted:
        return INTERRUPTED
    run = result.total
    lost = any(host.lost for host in result.hosts) or (result.server is not None and result.server.lost is not None)
    return FAILED if run.failures or run.cause is not None or lost or run.lost_workers else OK
