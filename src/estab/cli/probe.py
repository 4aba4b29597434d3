"""`estab probe`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from estab.cli.live_block import status_line
from estab.cli.options import DEFAULT_ASKED, DEFAULT_REPORT, AskedFlags, ReportFlags
from estab.cli.show import JsonFile, finish, stoppable
from estab.cli.values import Bytes, Command, Port, Seconds, Target


def probe(
    target: Target,
    /,
    *,
    port_beside: Port | None = None,
    size: Annotated[Bytes | None, Parameter(name=("--size", "-s"))] = None,
    idle: Seconds | None = None,
    timeout: Seconds = 2.5,
    source: Annotated[list[str] | None, Parameter(negative="", metavar="ADDRESS")] = None,
    server_via: Command | None = None,
    asked: AskedFlags = DEFAULT_ASKED,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Try a path by a few connects, and tell causes apart that look alike from a client.

    No load, no root: 99 connects at most, in 30 s. Four to TARGET; one to another port of its host, and a ping where
    this host permits it; one from each of 60 local ports, and those that fail once more, beside as many others; one to
    each address of its name (8 at most). Where something is asked (--size, --http, --request, a URL) and big requests
    or replies are lost, up to 30 connects find the size from which on they are, to the byte. With --idle a few
    connections rest and ask again.

    Example: estab probe 10.0.0.5:5000 --size 4k

    Parameters
    ----------
    target
        HOST:PORT, [IPv6]:PORT, :PORT, a URL, or the name of a program that listens on this host.
    port_beside
        The other port of its host. Default: the next one. It tells most where nothing drops connects to it.
    size
        Ask for an echo of this size (4k), which shows whether big segments pass. A server that reads and answers
        nothing will do for what goes there. Default: nothing is sent.
    idle
        Let connections rest so long (60s) and ask again: are they still known? On top of the 30 s. An echo, or what is
        asked.
    timeout
        Give up waiting after this long. From a second on a SYN is sent twice.
    source
        Local address to connect from.
    server_via
        Command that prints snapshots of the server's host, so that its end is seen too: "ssh HOST estab observe --port
        {port}".
    output.json
        Write the result as JSON to this file (estab.run/1); `-` is standard output, which then gets nothing else.
    """
    from estab.api.execute import execute
    from estab.api.local_server import address_of
    from estab.api.probe import ProbeRequest
    from estab.api.request import LoadOptions

    request = ProbeRequest(size_bytes=size, idle_s=idle, **asked.parameters())
    options = LoadOptions(
        timeout_s=timeout, sources=tuple(source or ()), server_via=server_via, probe=True, port_beside=port_beside
    )
    json_file = JsonFile(output.json)
    with stoppable() as stop, status_line(output) as say:
        say(f"probing {target}")
        run = execute(request, address_of(target), options, stop=stop)
    return finish(run, output, json_file)
