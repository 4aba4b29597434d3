"""A server of HTTP for the pages that ask one: the same page for each request, on a connection that stays."""

from __future__ import annotations

import asyncio
import contextlib
import sys

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads requests without a body, and answers each."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(REPLY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve(port: int) -> None:
    """Until Ctrl-C; says so once it listens."""
    server = await asyncio.start_server(answer, "0.0.0.0", port, backlog=4096)
    print(f"answering on port {port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1])))
