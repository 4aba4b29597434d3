"""An echo server whose listener has TCP_DEFER_ACCEPT: what comes is handed to accept() once it has sent a byte.

Started as `python deferring.py HOST PORT BACKLOG SECONDS`; 0 seconds set no option.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what comes, until the client closes."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main() -> None:
    """Listens, and serves until it is killed."""
    host, port, backlog, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if seconds:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
    listener.bind((host, port))
    server = await asyncio.start_server(echo, sock=listener, backlog=backlog)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
