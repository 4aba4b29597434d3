"""What bench, hold and churn share: from options to a run, with progress and Ctrl-C, to what is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from estab.cli.options import LoadFlags
from estab.cli.repeat import repeat
from estab.cli.show import JsonFile, finish, progress_on, stoppable
from estab.load.conductor import Stop
from estab.records import RunResult

if TYPE_CHECKING:
    from estab.api.run import Progress


def run_load(
    call: Callable[..., RunResult], target: str | None, connections: int, options: LoadFlags, **asked: Any
) -> int:
    """Calls the library's function with the shared options and `asked`; shows what came. Returns the exit code."""
    client, output = options.client, options.output
    if client.cluster is not None:
        from estab.cli.on_cluster import run_on_cluster

        return run_on_cluster(call.__name__, target, connections, options, asked)

    def once(stop: Stop, progress: Callable[[Progress], None]) -> RunResult:
        return call(
            target,
            connections=connections,
            timeout_s=client.timeout,
            sources=tuple(client.source or ()),
            workers=client.processes,
            server_via=client.server_via,
            service=options.embedded.service(target),
            stop=stop,
            progress=progress,
            **asked,
        )

    if client.repeat != 1:
        return repeat(once, client.repeat, connections, output)
    json_file = JsonFile(output.json)
    with stoppable() as stop, progress_on(output, connections) as progress:
        run = once(stop, progress)
    return finish(run, output, json_file)
