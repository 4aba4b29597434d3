"""Where a reply ends, from bytes in whatever pieces they come. `_engine/http.c` and `_engine/reply.c` in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from estab.load.block import HEADER_TOO_LONG, MALFORMED
from estab.load.exchange import CLOSE, HTTP, LENGTH, UNTIL

HEADER_BYTES = 65536
_DIGITS = frozenset(b"0123456789")
_STATUS_LINE_BYTES = 12  # "HTTP/1.1 200"
_MOST_LENGTH = (2**64 - 10) // 10
_MOST_DIGITS = 20


@dataclass(frozen=True)
class Taken:
    """What came of some bytes: `size` of them belong to this reply. `code`: why it is none; 0: nothing is wrong."""

    size: int
    is_over: bool = False
    is_last: bool = False
    code: int = 0


class Reply:
    """One reply that comes. `status` is HTTP's."""

    ends_with_connection = False
    status = 0

    def take(self, data: bytes) -> Taken:
        """Takes what came, up to the end of the reply."""
        return Taken(len(data))


class UntilReply(Reply):
    """It ends with certain bytes."""

    def __init__(self, until: bytes) -> None:
        self._until, self._seen = until, b""

    def take(self, data: bytes) -> Taken:
        """Looks for its end, which may have begun before."""
        before = len(self._seen)
        self._seen += data
        at = self._seen.find(self._until)
        if at >= 0:
            return Taken(at + len(self._until) - before, is_over=True)
        self._seen = self._seen[max(0, len(self._seen) - len(self._until) + 1) :]
        return Taken(len(data))


class LengthReply(Reply):
    """It has so many bytes."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, data: bytes) -> Taken:
        """Counts down."""
        size = min(len(data), self._left)
        self._left -= size
        return Taken(size, is_over=not self._left)


class CloseReply(Reply):
    """It ends as the peer closes."""

    ends_with_connection = True


class HttpReply(Reply):
    """As HTTP/1.1 frames it: RFC 9112, sections 4, 6 and 7."""

    def __init__(self, *, is_head: bool) -> None:
        self._is_head = is_head
        self._line = b""
        self._header = 0  # bytes so far
        self._take = self._take_lines
        self._at = "status"  # then fields, and after chunks trailers
        self._left = 0
        self._length: int | None = None
        self._is_old = self._is_encoded = self._is_chunked = self._says_close = self._says_keep = False

    def take(self, data: bytes) -> Taken:
        """Takes what came, piece by piece."""
        at = 0
        while at < len(data):
            taken = self._take(data[at:])
            at += taken.size
            if taken.is_over or taken.code:
                return Taken(at, taken.is_over, taken.is_last, taken.code)
        return Taken(at)

    # --- lines ---

    def _take_lines(self, data: bytes) -> Taken:
        newline = data.find(b"\n")
        size = newline + 1 if newline >= 0 else len(data)
        self._header += size
        if self._header > HEADER_BYTES:
            return Taken(size, code=HEADER_TOO_LONG)
        self._line += data[:size]
        if newline < 0:
            wrong = self._at == "status" and not _may_be_status(self._line)
            return Taken(size, code=MALFORMED if wrong else 0)
        line, self._line = self._line[:-1].removesuffix(b"\r"), b""
        return self._take_line(line, size)

    def _take_line(self, line: bytes, size: int) -> Taken:
        if self._at == "status":
            return Taken(size, code=0 if self._read_status(line) else MALFORMED)
        if self._at == "trailers":
            return Taken(size) if line else self._end(size)
        if not line:
            return self._end_of_fields(size)
        return Taken(size, code=0 if self._read_field(line) else MALFORMED)

    def _read_status(self, line: bytes) -> bool:
        number = line[9:_STATUS_LINE_BYTES]
        if len(line) < _STATUS_LINE_BYTES or line[:7] != b"HTTP/1." or line[7] not in _DIGITS or line[8:9] != b" ":
            return False
        if number[0] not in b"12345" or not _DIGITS.issuperset(number) or line[12:13] not in (b"", b" ", b"\t"):
            return False
        self.status, self._at, self._length = int(number), "fields", None
        self._is_encoded = self._is_chunked = self._says_close = self._says_keep = False
        self._is_old = line[7:8] == b"0"
        return True

    def _read_field(self, line: bytes) -> bool:
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        known = name.lower() if colon else b""
        words = [word.strip(b" \t").lower() for word in value.split(b",")]
        if known == b"content-length":
            return self._read_length(value)
        if known == b"transfer-encoding":
            self._is_encoded, self._is_chunked = True, words[-1] == b"chunked"
        elif known == b"connection":
            self._says_close = self._says_close or b"close" in words
            self._says_keep = self._says_keep or b"keep-alive" in words
        return True

    def _read_length(self, value: bytes) -> bool:
        if not value or not _DIGITS.issuperset(value) or len(value.lstrip(b"0")) > _MOST_DIGITS:
            return False
        if int(value) // 10 > _MOST_LENGTH:
            return False
        if self._length not in (None, int(value)):
            return False
        self._length = int(value)
        return True

    def _end_of_fields(self, size: int) -> Taken:
        if self.status == 101:
            return Taken(size, is_over=True, is_last=True)
        if self.status < 200:
            self._at = "status"
            return Taken(size)
        if self._is_head or self.status in (204, 304):
            return self._end(size)
        if self._is_chunked:
            self._begin_chunk()
        elif self._is_encoded or self._length is None:
            self.ends_with_connection = True
            self._take = lambda data: Taken(len(data))
        elif self._length == 0:
            return self._end(size)
        else:
            self._left, self._take = self._length, self._take_body
        return Taken(size)

    def _end(self, size: int) -> Taken:
        return Taken(size, is_over=True, is_last=self._says_close or (self._is_old and not self._says_keep))

    # --- bodies ---

    def _take_body(self, data: bytes) -> Taken:
        size = min(len(data), self._left)
        self._left -= size
        return Taken(size) if self._left else self._end(size)

    def _begin_chunk(self) -> None:
        self._line, self._header, self._take = b"", 0, self._take_chunk_line

    def _take_chunk_line(self, data: bytes) -> Taken:
        """Byte by byte, so that garbage is seen at once."""
        self._header += 1
        if self._header > HEADER_BYTES:
            return Taken(1, code=HEADER_TOO_LONG)
        byte = data[:1]
        digits = self._line.partition(b";")[0]
        if byte == b"\n":
            if not digits:
                return Taken(1, code=MALFORMED)
            self._begin_data(int(digits, 16))
        elif b";" in self._line:
            pass
        elif byte in b"0123456789abcdefABCDEF":
            self._line += byte
            if int(self._line, 16) >= 1 << 64:
                return Taken(1, code=MALFORMED)
        elif digits and byte in b"; \t\r":
            self._line += b";"
        else:
            return Taken(1, code=MALFORMED)
        return Taken(1)

    def _begin_data(self, size: int) -> None:
        self._line, self._header, self._left = b"", 0, size
        self._take = self._take_chunk if size else self._take_lines
        self._at = "trailers"

    def _take_chunk(self, data: bytes) -> Taken:
        size = min(len(data), self._left)
        self._left -= size
        if not self._left:
            self._take = self._take_chunk_end
        return Taken(size)

    def _take_chunk_end(self, data: bytes) -> Taken:
        byte = data[:1]
        if byte == b"\r" and not self._line:
            self._line = byte
            return Taken(1)
        if byte != b"\n":
            return Taken(1, code=MALFORMED)
        self._begin_chunk()
        return Taken(1)


def _may_be_status(line: bytes) -> bool:
    return line[:7] == b"HTTP/1."[: len(line)]


def new_reply(config: Mapping[str, Any]) -> Reply:
    """The reply that is due next, as `Exchange.config` says."""
    kinds = {
        HTTP: lambda: HttpReply(is_head=config["is_head"]),
        UNTIL: lambda: UntilReply(config["until"]),
        LENGTH: lambda: LengthReply(config["reply_bytes"]),
        CLOSE: CloseReply,
    }
    return kinds[config["reply"]]()
