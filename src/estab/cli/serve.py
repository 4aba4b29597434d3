"""`estab serve`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from estab.cli.live_block import status_line
from estab.cli.options import DEFAULT_REPORT, ReportFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, show, stoppable
from estab.cli.values import Bytes, Flag, Number, Seconds, Target, Whole
from estab.errors import UsageError
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules import accept_queue
from estab.load.serving import Service
from estab.load.target import parse_listen
from estab.words import places, plural

if TYPE_CHECKING:
    from estab.api.serve import ServeProgress


def serve(
    service: Literal["echo", "sink", "stall"] = "echo",
    /,
    *,
    listen: Target = "127.0.0.1:5000",
    backlog: Whole = 4096,
    accept_delay: Seconds = 0.0,
    accept_rate: Number | None = None,
    processes: Whole = 1,
    close_after: Bytes | None = None,
    reset: Flag = False,
    pause: Seconds = 0.0,
    pause_every: Seconds = 0.0,
    duration: Annotated[Seconds | None, Parameter(name=("--duration", "-d"))] = None,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Run a server to load: echo, sink (reads and discards), or stall (listens but never accepts).

    Shows accepted and open connections and how full the accept queue is. Ctrl-C ends it with a summary and exit code
    130; with --duration it ends by itself, with 0.

    Example: estab serve echo --listen 0.0.0.0:5000 --backlog 16 --accept-delay 50ms

    Parameters
    ----------
    service
        echo, sink or stall.
    listen
        HOST:PORT, [IPv6]:PORT, or :PORT for every address; port 0 takes any free one. A UNIX socket: unix:/path, or
        unix:@name of an abstract one.
    backlog
        The backlog passed to listen(). The kernel grants at most net.core.somaxconn; both are shown.
    accept_delay
        Wait at least this long between accepts (50ms).
    accept_rate
        At most this many accepts per second: --accept-delay the other way round.
    processes
        How many processes listen on the port, each with a socket of its own (SO_REUSEPORT); a UNIX socket they share.
    close_after
        Close first, after receiving this much; 0: right after accept().
    reset
        Close by RST instead of FIN.
    pause
        Stall: answer nobody for this long, once every --pause-every.
    pause_every
        Time from the start of one --pause to the next (10s).
    duration
        Stop after this long.
    output.json
        Write the result as JSON (estab.run/1) to this file; `-` is standard output, which then gets nothing else.
    """
    from estab.api.serve import serve as run_serve
    from estab.report.answer.serve import answer_serve, brief_serve
    from estab.report.text import render

    host, port = parse_listen(listen)
    gap_s = _accept_delay_s(accept_delay, accept_rate)
    asked = Service(service, host, port, backlog, gap_s, processes, close_after, reset, pause, pause_every)
    json_file = JsonFile(output.json)
    announce = output.shows_report
    with stoppable() as stop, status_line(output) as say:
        run = run_serve(asked, duration_s=duration, stop=stop, progress=_progress(say, announce))
    json_file.write(run)
    show(output, partial(brief_serve, run), partial(answer_serve, run), partial(render, run))
    lost = [worker.lost for worker in run.server.workers if worker.lost]
    for why in lost:
        print(f"estab: a server process {why}", file=sys.stderr)
    if run.interrupted:
        return INTERRUPTED
    return FAILED if lost or run.failures else OK


def _accept_delay_s(delay: float, rate: float | None) -> float:
    if rate is None:
        return delay
    if delay:
        raise UsageError("--accept-delay and --accept-rate set the same thing: give one of them")
    if not 0 < rate <= 1e9:
        raise UsageError(f"--accept-rate {rate:g} is out of range (more than 0, at most 1e9)")
    return 1 / rate


def _progress(say: Callable[[str], None], announce: bool) -> Callable[[ServeProgress], None]:
    announced = not announce

    def tell(now: ServeProgress) -> None:
        nonlocal announced
        point = now.point
        if not announced:
            announced = True
            where = endpoint(now.host, now.port)
            granted = "unknown" if now.granted is None else f"{now.granted:,}"
            sockets = f" on each of {now.listeners} sockets" if now.listeners > 1 else ""
            print(
                f"listening on {where}, backlog {now.backlog_asked:,} asked, {granted} granted{sockets}",
                flush=True,
            )
        parts = [f"{point.t_s:6.1f} s", f"{point.accepted:,} accepted", f"{point.open:,} open"]
        if point.queue_depth is not None:
            parts.append(f"queue {places(point.queue_depth, accept_queue.room(point.queue_limit or 0))}")
        if point.listener_drops:
            parts.append(plural(point.listener_drops, "drop"))
        say("  ·  ".join(parts))

    return tell
