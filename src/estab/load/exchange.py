"""What a connection asks, and how the end of a reply is known: an echo, a reply of HTTP, or what any server speaks.

What lives here: an exchange as plain data, and bytes as people type them. `_engine/exchange.h` is its twin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from estab.errors import UsageError

NONE, ECHO, HTTP, UNTIL, LENGTH, CLOSE = range(6)  # how a reply ends, as in `enum reply_kind`
MOST_REQUEST = 1 << 20
MOST_UNTIL = 255
MOST_PATH = 8192
MOST_REPLY = 1 << 40
_PADDING = "X-Padding: {}\r\n"

_REQUEST_LINE = re.compile(rb"(?P<method>[!#$%&'*+.^_`|~0-9A-Za-z-]+) [^\s\x00-\x20]+ HTTP/1\.[01]\r?\n")  # RFC 9112, 3
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.)|$)", re.DOTALL)
_ESCAPED = {"a": 7, "b": 8, "e": 27, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}
_SHOWN = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 92: "\\"}


@dataclass(frozen=True)
class Exchange:
    """One request and its reply. `size`: bytes of the request; an echo's are the engine's own.

    `reply` says how its end is known: NONE (nothing is asked), ECHO, HTTP (as RFC 9112 frames it), UNTIL (it ends with
    the bytes `until`), LENGTH (it has `reply_bytes`), CLOSE (the peer closes). `renews`: a connection that has ended is
    made anew, for as long as the load lasts.
    """

    reply: int = NONE
    size: int = 0
    request: bytes = b""
    until: bytes = b""
    reply_bytes: int = 0
    renews: bool = False

    @property
    def asks(self) -> bool:
        """Whether anything is asked at all."""
        return self.reply != NONE

    def config(self) -> dict[str, Any]:
        """As a worker gets it."""
        return {
            "reply": self.reply,
            "size": self.size,
            "request": self.request,
            "until": self.until,
            "reply_bytes": self.reply_bytes,
            "is_head": self.reply == HTTP and self.request.startswith(b"HEAD "),
            "renews": self.renews,
        }


NOTHING = Exchange()


def echo(size: int) -> Exchange:
    """So many bytes that come back; none: nothing is asked."""
    return Exchange(ECHO, size) if size else NOTHING


def get(path: str, authority: str, *, closes: bool = False, least_bytes: int = 0) -> Exchange:
    """A GET of HTTP/1.1. `authority` is the Host that is meant; `closes`: the server is asked to close after it.

    `least_bytes`: as long as that it is made by a field that no server knows (RFC 9110, section 5.1: it ignores that).
    """
    request = f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: estab\r\nAccept: */*\r\n"
    end = "Connection: close\r\n\r\n" if closes else "\r\n"
    if (missing := least_bytes - len(request + end + _PADDING.format(""))) > 0:
        request += _PADDING.format("x" * missing)
    data = (request + end).encode("ascii")
    return Exchange(HTTP, len(data), data)


def raw(
    request: bytes, until: bytes | None = None, reply_bytes: int | None = None, *, until_close: bool = False
) -> Exchange:
    """Any request, with the one thing that ends its reply. A request of HTTP/1.1 needs none.

    Raises UsageError, which names the parameters.
    """
    if not 1 <= len(request) <= MOST_REQUEST:
        raise UsageError(f"`request` has {len(request):,} bytes, out of range (1 to {MOST_REQUEST:,})")
    ends = [
        name
        for name, is_given in (
            ("until", until is not None), ("reply_bytes", reply_bytes is not None), ("until_close", until_close),
        )
        if is_given
    ]  # fmt: skip
    if len(ends) > 1:
        raise UsageError(f"`{ends[0]}` and `{ends[1]}` both say where a reply ends: give one of them")
    if until is not None:
        if not 1 <= len(until) <= MOST_UNTIL:
            raise UsageError(f"`until` has {len(until):,} bytes, out of range (1 to {MOST_UNTIL})")
        return Exchange(UNTIL, len(request), request, until)
    if reply_bytes is not None:
        if not 1 <= reply_bytes <= MOST_REPLY:
            raise UsageError(f"`reply_bytes` is {reply_bytes:,}, out of range (1 to {MOST_REPLY:,} bytes)")
        return Exchange(LENGTH, len(request), request, reply_bytes=reply_bytes)
    if until_close:
        return Exchange(CLOSE, len(request), request)
    if not _REQUEST_LINE.match(request):
        raise UsageError(
            "`request` needs the end of its reply: give `until` (the bytes that end it), `reply_bytes` or `until_close`"
        )
    return Exchange(HTTP, len(request), request)


def check_path(path: str, parameter: str) -> None:
    """Raises UsageError for a path that can't stand in a request line (RFC 9112, section 3.2.1)."""
    if not path.startswith("/"):
        raise UsageError(f"`{parameter}` is {path!r}; a path begins with /, as /index.html")
    if not (path.isascii() and path.isprintable()) or " " in path or len(path) > MOST_PATH:
        raise UsageError(
            f"`{parameter}` has the path {path[:80]!r}; it is printable ASCII without blanks (write others as %20), "
            f"{MOST_PATH:,} bytes at most"
        )


def unescape(text: str) -> bytes:
    r"""Bytes as printf(1) writes them: `\r`, `\n`, `\t`, `\0`, `\x1f`, `\\`; all else as UTF-8. Raises ValueError."""
    out, at = bytearray(), 0
    for match in _ESCAPE.finditer(text):
        out += text[at : match.start()].encode()
        at = match.end()
        octal, digits, letter = match.groups()
        if octal is not None:
            out.append(int(octal, 8) & 255)
        elif digits is not None:
            out.append(int(digits, 16))
        elif letter in _ESCAPED:
            out.append(_ESCAPED[letter])
        else:
            raise ValueError(f"{match[0]!r} is no escape; write a backslash as \\\\")
    return bytes(out + text[at:].encode())


def escape(data: bytes) -> str:
    r"""Bytes as `unescape` reads them, in printable ASCII."""
    return "".join(
        f"\\{_SHOWN[byte]}" if byte in _SHOWN else chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in data
    )
