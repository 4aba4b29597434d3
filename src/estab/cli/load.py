"""What bench, hold and churn share: from a request to a run, with progress and Ctrl-C, to what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from estab.cli.options import LoadFlags
from estab.cli.repeat import repeat
from estab.cli.show import JsonFile, finish, progress_on, stoppable
from estab.errors import UsageError
from estab.load.conductor import Stop
from estab.records import RunResult

if TYPE_CHECKING:
    from estab.api.gaps import GapsRequest
    from estab.api.recorder import ProgressCallback
    from estab.cluster.messages import Request


def run_load(request: Request | GapsRequest, target: str | None, flags: LoadFlags) -> int:
    """Carries a request out and shows what came. Returns the exit code."""
    from estab.api.execute import execute
    from estab.api.local_server import address_of

    client, output = flags.client, flags.output
    options = flags.options(target)
    if client.cluster is not None:
        from estab.api.gaps import GapsRequest
        from estab.cli.on_cluster import run_on_cluster

        if isinstance(request, GapsRequest):
            raise UsageError("idle times show from one host as from many; leave out --cluster, or --gaps")
        if client.probe:
            raise UsageError("probes are this host's alone; leave out --cluster, or --probe")
        return run_on_cluster(request, target, options, client, output)

    target = None if target is None else address_of(target)

    def once(stop: Stop, progress: ProgressCallback) -> RunResult:
        return execute(request, target, options, stop=stop, progress=progress)

    if client.repeat != 1:
        return repeat(once, client.repeat, request, output)
    json_file = JsonFile(output.json)
    with stoppable() as stop, progress_on(output, request) as progress:
        run = once(stop, progress)
    return finish(run, output, json_file)
