"""As much HTTP as a scrape needs: GET and HEAD of /metrics and /. No client can keep another waiting.

Each has so many seconds to ask and to take its answer. Of too many connections the one that has been silent longest
is closed. The parsing is http.server's.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO

from estab.errors import MachineError, UsageError
from estab.kernel.formats.endpoint import endpoint

_ASK_S, _IDLE_S, _TAKE_S = 5.0, 300.0, 10.0
_MOST_BYTES = 16 * 1024
_MOST_CONNECTIONS = 64
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_INDEX = b"""<!doctype html><html lang="en"><title>estab</title>
<h1>estab export</h1><p><a href="/metrics">/metrics</a> is what Prometheus scrapes.</p></html>
"""
_NEXT = {
    errno.EADDRINUSE: "end what holds it (`ss -ltnp` shows it) or choose another `listen` address",
    errno.EADDRNOTAVAIL: "give --listen an address of this host (`ip addr` lists them)",
    errno.EACCES: "ports below 1024 need root: choose a higher one",
}
Text = Callable[[], Awaitable[bytes]]


class Http:
    """Listens at `host`:`port`. Raises UsageError for an unknown host, MachineError where it can't listen."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        # In the order in which they last said something.
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._talks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, text: Text) -> AsyncIterator[str]:
        """Answers with `text()` while the block lasts; gives the URL."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk = asyncio.create_task(self._talk(reader, writer, text))
            self._talks.add(talk)
            talk.add_done_callback(self._talks.discard)

        server = await asyncio.start_server(connected, sock=self._socket, limit=_MOST_BYTES)
        try:
            yield f"http://{endpoint(*self._socket.getsockname()[:2])}/metrics"
        finally:
            server.close()
            for writer in list(self._open):
                writer.transport.abort()
            if self._talks:  # one that is cancelled instead would be told on standard error, with a traceback
                await asyncio.wait(self._talks, timeout=_ASK_S)
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: Text) -> None:
        self._make_room()
        # drain() then waits until all is on its way, so that closing leaves nothing behind that a client won't take.
        writer.transport.set_write_buffer_limits(0)
        wait_s = _ASK_S
        try:
            while await self._exchange(reader, writer, text, wait_s):
                wait_s = _IDLE_S
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # it went away, or was too slow
        finally:
            self._open.pop(writer, None)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: Text, wait_s: float
    ) -> bool:
        """One question and its answer. Returns whether another may come on this connection."""
        self._open.pop(writer, None)
        self._open[writer] = None
        try:
            asked = _Request(await _head(reader, wait_s))
        except asyncio.LimitOverrunError:
            asked = _Request(b"", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        status, kind, body = await _answer(asked, text)
        writer.write(_response(asked, status, kind, body))
        try:
            await asyncio.wait_for(writer.drain(), _TAKE_S)
        except TimeoutError:
            writer.transport.abort()
            raise
        return asked.goes_on

    def _make_room(self) -> None:
        if len(self._open) >= _MOST_CONNECTIONS:
            writer = next(iter(self._open))
            del self._open[writer]
            writer.transport.abort()


async def _head(reader: asyncio.StreamReader, wait_s: float) -> bytes:
    """A request's lines. The first may be awaited for `wait_s`; the others have to come soon."""
    first = await asyncio.wait_for(reader.readuntil(b"\n"), wait_s)
    return first + await asyncio.wait_for(_headers(reader), _ASK_S) if first.strip() else first


async def _headers(reader: asyncio.StreamReader) -> bytes:
    headers = b""
    while len(headers) < _MOST_BYTES:
        line = await reader.readuntil(b"\n")
        headers += line
        if not line.strip():
            return headers
    raise asyncio.LimitOverrunError("more headers than anybody needs", len(headers))


class _Request(BaseHTTPRequestHandler):
    """A request's head, parsed. `refused` is what is wrong with it."""

    def __init__(self, head: bytes, refused: HTTPStatus | None = None) -> None:
        self.rfile = BytesIO(head)
        self.raw_requestline = self.rfile.readline()
        self.command, self.path, self.headers = "", "", Message()
        self.request_version, self.close_connection = "HTTP/1.0", True
        self.protocol_version = "HTTP/1.1"
        self.refused = refused
        if refused is None and not self.parse_request() and self.refused is None:
            self.refused = HTTPStatus.BAD_REQUEST

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What parse_request() calls for a request that is none."""
        self.refused = HTTPStatus(code)

    def handle_expect_100(self) -> bool:
        """No body is wanted."""
        return True

    @property
    def goes_on(self) -> bool:
        """Whether the connection may be used again: the request was understood, and no body follows that is unread."""
        body = self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length") not in (None, "0")
        return self.refused is None and not self.close_connection and not body


async def _answer(asked: _Request, text: Text) -> tuple[HTTPStatus, str, bytes]:
    refused = asked.refused
    path = asked.path.partition("?")[0]
    if refused is None and asked.command not in ("GET", "HEAD"):
        refused = HTTPStatus.METHOD_NOT_ALLOWED
    if refused is None and path not in ("/", "/metrics"):
        refused = HTTPStatus.NOT_FOUND
    if refused is not None:
        return refused, "text/plain; charset=utf-8", f"{refused.value} {refused.phrase}\n".encode()
    return (HTTPStatus.OK, _TEXT, await text()) if path == "/metrics" else (HTTPStatus.OK, _HTML, _INDEX)


def _response(asked: _Request, status: HTTPStatus, kind: str, body: bytes) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'keep-alive' if asked.goes_on else 'close'}",
    ]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    head = "\r\n".join([*lines, "", ""]).encode("ascii")
    return head if asked.command == "HEAD" else head + body


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"can't listen on host {host!r}: {why}") from error
    opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen()
    except OSError as error:
        opened.close()
        hint = _NEXT.get(error.errno or 0, "choose another `listen` address")
        raise MachineError(
            f"can't listen on {endpoint(str(address[0]), int(address[1]))}: {error.strerror}; {hint}"
        ) from error
    return opened
