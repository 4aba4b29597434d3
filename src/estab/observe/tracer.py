"""What runs in the process that traces drops: `python -m estab.observe.tracer SECONDS`. One JSON line comes out.

It traces in a tracefs instance (`trace_instance`), which it removes at its end. That end also comes when its standard
input closes, which it does when estab is killed. Where this process itself is killed, estab runs it again with `sweep`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from estab.errors import EstabError, ParseError
from estab.kernel.formats import tracefs
from estab.observe import trace_instance
from estab.records import DropReasons

_KFREE, _EVENTS = "skb/kfree_skb", ("tcp/tcp_send_reset", "tcp/tcp_receive_reset", "tcp/tcp_retransmit_synack")
_ONLY_IP = "protocol == 2048 || protocol == 34525"
_PIPE_BYTES = 1 << 16


class Traced(msgspec.Struct):
    """What the tracing process prints. `why` says what kept it from tracing; `lost` events did not fit its buffer."""

    reasons: DropReasons | None = None
    lost: int = 0
    why: str | None = None


def main(arguments: list[str]) -> Traced:
    """Trace for so many seconds, or `sweep`: remove what dead processes left. Never raises for what is refused."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    try:
        root = trace_instance.tracefs()
        trace_instance.sweep(root)
        if arguments == ["sweep"]:
            return Traced()
        with trace_instance.instance(root) as folder:
            return _trace(Path(folder), float(arguments[0]))
    except OSError as error:
        return Traced(why=f"tracefs: {error.strerror}: {error.filename}: run as root")
    except EstabError as error:
        return Traced(why=str(error))


def _trace(folder: Path, seconds: float) -> Traced:
    names = tracefs.parse_reasons((folder / "events" / _KFREE / "format").read_bytes())
    (folder / "events" / _KFREE / "filter").write_text(_ONLY_IP)
    for event in (_KFREE, *_EVENTS):
        (folder / "events" / event / "enable").write_text("1")
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    began = time.monotonic()
    for line in _lines(folder / "trace_pipe", began + seconds):
        with contextlib.suppress(ParseError):  # an event that was cut short at the end of a read of a full buffer
            _count(tracefs.parse_line(line), names, counts, reasons)
    drops = DropReasons(
        seconds=round(time.monotonic() - began, 3),
        kfree_skb=dict(sorted(reasons.items())),
        resets_sent=counts["tcp_send_reset"],
        resets_received=counts["tcp_receive_reset"],
        synack_retransmits=counts["tcp_retransmit_synack"],
    )
    return Traced(reasons=drops, lost=counts["lost"])


def _count(event: tracefs.Event | None, names: dict[int, str], counts: Counter[str], reasons: Counter[str]) -> None:
    if event is None:
        return
    if event.lost:
        counts["lost"] += event.lost
    elif event.name != "kfree_skb":
        counts[event.name] += 1
    elif tracefs.may_be_tcp(event):
        reasons[tracefs.reason_of(event, names)] += 1


def _lines(path: Path, deadline: float) -> Iterator[bytes]:
    """The lines of trace_pipe until the deadline, or until standard input closes."""
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    pending = b""
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready = select.select([pipe, 0], [], [], left)[0]
            if 0 in ready:
                return
            if pipe in ready:
                with contextlib.suppress(BlockingIOError):
                    *lines, pending = (pending + os.read(pipe, _PIPE_BYTES)).split(b"\n")
                    yield from lines
    finally:
        os.close(pipe)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(sys.argv[1:])) + b"\n")
