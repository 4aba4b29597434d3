"""What to type while the lab's hosts stand: how to enter each, and what to look at there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.console import Console

from estab.records.lab import LabInside
from estab.report.layout import heading
from estab.report.trimmed import print_trimmed


def render_inside(inside: LabInside, console: Console) -> None:
    """Prints command lines as they are to be typed: not one of them is wrapped, however narrow the console is."""
    stands = f"{inside.scenario} stands, as it is when every connect is settled or nothing more happens."
    print_trimmed(console, heading(stands))
    for text in _lines(inside):
        console.print(text, soft_wrap=True, markup=False, highlight=False)


def _lines(inside: LabInside) -> Iterator[str]:
    yield "The clients are stopped. In another terminal:"
    for host in inside.hosts:
        enter = shlex.join(host.enter)
        yield ""
        yield f"{host.name}  {host.address or 'between the two'}"
        for command, why in _looks(host.name):
            yield f"  # {why}"
            yield f"  {enter} {command}"
    yield ""


def _looks(name: str) -> Iterator[tuple[str, str]]:
    if name in ("server", "host"):
        yield "ss -tlnp", "the listener: Recv-Q is what waits in its accept queue, Send-Q the limit"
        yield "nstat -asz TcpExtListenOverflows TcpExtListenDrops", "what the kernel turned away"
    if name == "wire":
        yield "ip -s link", "what passed"
    else:
        yield "ss -tan", "connections and their states"
        yield "sh", "a shell in it"
