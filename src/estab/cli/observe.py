"""`estab observe`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Annotated

from cyclopts import Parameter

from estab.cli.options import OUTPUT
from estab.cli.show import INTERRUPTED, OK, JsonFile, stoppable
from estab.cli.values import Command, File, Flag, Netns, Port, Seconds, Target, Whole
from estab.errors import UsageError
from estab.load.conductor import Stop

if TYPE_CHECKING:
    from estab.records import Snapshot


def observe(
    *,
    interval: Seconds | None = None,
    count: Whole | None = None,
    port: Port | None = None,
    toward: Target | None = None,
    netns: Netns | None = None,
    all_netns: Flag = False,
    drops: Seconds | None = None,
    via: Command | None = None,
    json: Annotated[File, Parameter(name="--json", allow_leading_hyphen=True, group=OUTPUT, show_default=False)] = "-",
) -> int:
    """Print what the kernel shows: snapshots (estab.snapshot/1), one line of JSON each.

    Every listener with its limit, depth, drops and owner, UNIX sockets too; sockets by state, port and peer;
    counters, sysctls and limits. What can't be read is null, and `unobserved` says why. Nothing is changed on the host.

    Example: estab observe --port 8080 --interval 1 --count 10

    Parameters
    ----------
    interval
        Time from one snapshot to the next (1s, 500ms). Default: 1s.
    count
        How many snapshots of each namespace; 0: until Ctrl-C. Default: 1; with --via, all that are printed.
    port
        Only the listeners on this port, and the server's side of its connections.
    toward
        HOST:PORT: count the local ports in use towards it, in TIME_WAIT, and taken by bind().
    netns
        Look into this network namespace: a name from `ip netns`, a container, a pod (NAMESPACE/NAME), or
        the PID of a process in it.
    all_netns
        One line for each network namespace: this one, those in `ip netns`, and those of processes.
    drops
        Before each snapshot, trace for this long what is dropped and reset, by the kernel's reasons. A SYN dropped on a
        full queue makes no event and is not among them.
    via
        Command that prints snapshots ("ssh HOST estab observe"); they are checked and passed on. It runs without a
        shell; {port} in it stands for --port.
    json
        Write the lines to this file; `-` is standard output.
    """
    from estab.api.observe import observe as take
    from estab.api.observe import observe_via

    target = JsonFile(json)
    with Stop() as stop:
        if via is None:
            snapshots = take(
                interval_s=1.0 if interval is None else interval,
                count=1 if count is None else count,
                port=port,
                toward=toward,
                netns=netns,
                all_netns=all_netns,
                drops_s=drops,
                stop=stop,
            )
        else:
            given = {
                "interval": interval,
                "toward": toward,
                "netns": netns,
                "all-netns": all_netns or None,
                "drops": drops,
            }
            for name, value in given.items():
                if value is not None:
                    raise UsageError(f"--{name} is for the command that --via runs; write it there")
            snapshots = observe_via(via, port=port, count=count or 0, stop=stop)
        # What is asked is in order now: only then may a file lose what it holds. And a named pipe is opened before
        # Ctrl-C asks for a stop: where nobody reads it, it ends the command.
        with _opened(target) as file, stoppable(stop):
            return _print(snapshots, file, stop)


def _print(snapshots: Iterator[Snapshot], file: IO[bytes], stop: Stop) -> int:
    """Each snapshot as a line, at once: whoever reads along sees it, and what was printed is whole."""
    from estab.records import encode

    for snapshot in snapshots:
        file.write(encode(snapshot) + b"\n")
        file.flush()
    return INTERRUPTED if stop.is_set else OK


@contextlib.contextmanager
def _opened(target: JsonFile) -> Iterator[IO[bytes]]:
    if target.path is None or target.path == "-":
        yield sys.stdout.buffer
        return
    try:
        file = open(target.path, "wb")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"can't write --json {target.path}: {error.strerror}") from error
    with file:
        yield file
