"""`estab record`."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from estab.cli.live_block import status_line
from estab.cli.options import OutputFlags
from estab.cli.show import OK, stoppable
from estab.cli.values import Bytes, Directory, Flag, Netns, Seconds, Whole
from estab.errors import MachineError
from estab.load.conductor import Stop
from estab.words import plural


def record(
    *,
    dir: Directory,
    interval: Seconds = 1.0,
    keep: Annotated[Seconds, Parameter(show_default=lambda _s: "7d")] = 604_800.0,
    max_bytes: Annotated[Bytes, Parameter(show_default=lambda _bytes: "500M")] = 500 << 20,
    count: Whole = 0,
    netns: Netns | None = None,
    all_netns: Flag = False,
    once_a_cause: Flag = False,
    quiet: Annotated[Flag, Parameter(name=("--quiet", "-q"))] = False,
) -> int:
    """Record this host for days, in little room, so that `estab diagnose DIR` can say what went wrong and when.

    Every second a snapshot of listeners, their owners, counters and limits, compressed, in segments of an hour at most.
    Each is in its file at once, whatever ends the command. What there is is never overwritten: the oldest segments go
    by --keep and --max-bytes alone.

    Example: estab record --dir /var/lib/estab; estab diagnose /var/lib/estab --since 02:00

    Parameters
    ----------
    dir
        The directory, made where there is none. One command writes there at a time.
    interval
        Time between two looks (500ms, 5s).
    keep
        Remove segments that ended longer ago than this (12h, 7d).
    max_bytes
        Remove the oldest segments so that all of them take no more than this (500M, 2G).
    count
        Stop after this many looks; 0: go on until Ctrl-C or SIGTERM. Default: 0.
    netns
        Look into this network namespace: a name from `ip netns`, a container, a pod (NAMESPACE/NAME), or
        the PID of a process in it.
    all_netns
        All network namespaces: this one, those in `ip netns`, and those of processes.
    once_a_cause
        Also look at queues, drops and counters ten times a second, and keep these looks for a minute before and after
        the beginning and the end of each episode, in files close-TIME-CAUSE.ndjson.gz, in a quarter of --max-bytes.
    quiet
        Print nothing but what goes wrong.
    """
    from estab.live.record import SnapshotRecorder, recorder
    from estab.report.words import size

    with Stop() as stop:
        looks = SnapshotRecorder(interval, netns=netns, all_netns=all_netns, once_a_cause=once_a_cause)
        with recorder(dir, keep_s=keep, max_bytes=max_bytes, once_a_cause=once_a_cause) as into, stoppable(stop):

            def so_far() -> str:
                return f"{plural(into.snapshots, 'snapshot')}, {size(into.written)}"

            with status_line(OutputFlags(quiet=quiet)) as show:
                looks.record(
                    into,
                    stop,
                    count=count,
                    show=lambda: show(f"recording to {dir}: {so_far()}; Ctrl-C ends it"),
                    tell=lambda line: print(f"estab: {line}", file=sys.stderr, flush=True),
                )
        if into.failed is not None:
            raise MachineError(into.failed)
    if not quiet:
        print(f"{so_far()} in {dir}; estab diagnose {dir} judges them")
    return OK
