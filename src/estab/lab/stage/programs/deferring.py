"""An echo server whose listener has TCP_DEFER_ACCEPT: what comes is handed to accept() once it has sent a byte.

Started as `python deferring.py HOST PORT BACKLOG SECONDS CLOSE_AFTER`; 0 seconds set no option. It closes a connection
once it has sent back so many bytes, at once with 0; with -1 when its client does.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import sys


async def echo(close_after: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what comes, until that is enough or the client closes."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent != close_after and (data := await reader.read(65536)):
            sent += len(data)
            writer.write(data)
            await writer.drain()
    writer.close()


async def main() -> None:
    """Listens, and serves until it is killed."""
    host, (port, backlog, seconds, close_after) = sys.argv[1], map(int, sys.argv[2:6])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if seconds:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
    listener.bind((host, port))
    server = await asyncio.start_server(functools.partial(echo, close_after), sock=listener, backlog=backlog)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
