"""`estab export`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from estab.cli.show import INTERRUPTED, OK, stoppable
from estab.cli.values import Flag, Seconds, Target, Whole
from estab.errors import MachineError, UsageError

if TYPE_CHECKING:
    from estab.api.export import Serving

_LISTEN = "127.0.0.1:9816"


def export(
    *,
    listen: Target | None = None,
    window: Seconds | None = None,
    netns: Annotated[list[str] | None, Parameter(negative="", metavar="NETNS")] = None,
    all_netns: Flag = False,
    listeners: Whole = 250,
    targets: Whole = 10,
    once: Flag = False,
    quiet: Annotated[Flag, Parameter(name=("--quiet", "-q"))] = False,
) -> int:
    """Export this host's listeners, limits and causes to Prometheus.

    Every listener's queue with its limit, worst depth and drops; for each cause whether it is met; local ports towards
    the busiest destinations; descriptors, conntrack and cloud allowances. Answers GET /metrics until Ctrl-C or SIGTERM
    (exit code 0). Nothing is changed on the host. Without root it sees less, and says what.

    Example: estab export --listen 127.0.0.1:9816

    Parameters
    ----------
    listen
        HOST:PORT, or :PORT for every address; port 0 takes any free one. Default: 127.0.0.1:9816, which only this host
        can reach. There is no password: whoever can reach it can read it.
    window
        How far verdicts and worst depths look back (15s), or to the previous scrape if that was earlier. Default: 15s;
        1s with --once.
    netns
        Also look into this network namespace: a name from `ip netns`, a PID, or a container or pod. May be repeated.
    all_netns
        Also look into all network namespaces that are found, each called as its container or pod is; at most 250.
    listeners
        How many listeners get series of their own, those in trouble first; the rest are summed as `other`.
    targets
        How many destinations get series of their own, those with most local ports first; the rest are summed as
        `other`.
    once
        Print the metrics once and exit, for node_exporter's textfile collector.
    quiet
        Do not print where it listens and what it can't see.
    """
    _need_extra()
    from estab.api import export as api
    from estab.api.exporter.scrape import ExportScope

    if once and listen is not None:
        raise UsageError("--once does not listen; leave out --listen, or --once")
    scope = ExportScope(tuple(netns or ()), all_netns, listeners, targets)
    with stoppable() as stop:
        if once:
            text = api.exposition(window_s=api.ONCE_S if window is None else window, scope=scope, stop=stop)
            if text is None:
                return INTERRUPTED
            sys.stdout.buffer.write(text)
            return OK
        api.export(
            _LISTEN if listen is None else listen,
            window_s=api.WINDOW_S if window is None else window,
            scope=scope,
            stop=stop,
            serving=None if quiet else _tell,
        )
    # To be stopped is the only way in which an exporter ends: it is no failure.
    return OK


def _tell(serving: Serving) -> None:
    print(f"answering at {serving.url}", flush=True)
    for gap in serving.unseen:
        print(f"not seen: {gap}", file=sys.stderr, flush=True)


def _need_extra() -> None:
    try:
        import prometheus_client  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        from estab.extras import install_command

        raise MachineError(f"estab export needs prometheus-client: {install_command('export')} adds it") from error
