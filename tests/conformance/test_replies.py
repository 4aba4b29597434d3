"""Where a reply ends: one table for both engines, fed whole, byte by byte, and in pieces. No sockets."""

from __future__ import annotations

import pytest

from estab import _engine
from estab.load import exchange
from estab.load.block import CODE_NAMES
from estab.load.exchange import Exchange
from estab.load.pyengine.replies import HEADER_BYTES, new_reply

GET = exchange.get("/", "h")
HEAD = exchange.raw(b"HEAD / HTTP/1.1\r\n\r\n")
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MOST = b"18446744073709551600"

Ended = list[tuple[int, bool, int]]


def taken(engine: str, asked: Exchange, data: bytes, piece: int) -> tuple[Ended, str | None, bool]:
    """Statuses, whether each is the last, and ends; why the rest is none; whether the connection ends what began."""
    config = asked.config()
    if engine == "c":
        ended, code, to_close = _engine.take_replies(config, data, piece)
        return ended, CODE_NAMES[code] if code else None, to_close
    ended, reply, at = [], new_reply(config), 0
    while at < len(data):
        some = reply.take(data[at : at + piece - at % piece])
        at += some.size
        if some.code:
            return ended, CODE_NAMES[some.code], reply.ends_with_connection
        if some.is_over:
            ended.append((reply.status, some.is_last, at))
            reply = new_reply(config)
    return ended, None, reply.ends_with_connection


def fields(*lines: bytes, status: bytes = OK) -> bytes:
    return status + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


WHOLE = {
    "length": (OK + LENGTH % 5 + b"hello", 200, False),
    "no body": (OK + LENGTH % 0, 200, False),
    "names in any case": (OK + b"cOnTeNt-LeNgTh:3\r\n\r\nabc", 200, False),
    "blanks": (OK + b"Content-Length: \t 3 \t\r\n\r\nabc", 200, False),
    "the same length twice": (OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 200, False),
    "LF alone": (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", 200, False),
    "no reason": (b"HTTP/1.1 200\r\n" + LENGTH % 1 + b"x", 200, False),
    "fields that look alike": (
        fields(b"Content-Lengthy: 9", b"Connections: close", b"Content-Length: 2", b"T: x", b"no colon") + b"ab",
        200, False,
    ),
    "closes": (fields(b"Connection: close", b"Content-Length: 2") + b"ab", 200, True),
    "closes among others": (fields(b"connection: Upgrade,  CLOSE , x", b"Content-Length: 0"), 200, True),
    "keeps": (fields(b"Connection: keep-alive", b"Content-Length: 0"), 200, False),
    "of HTTP/1.0": (fields(b"Content-Length: 0", status=b"HTTP/1.0 200 OK\r\n"), 200, True),
    "of HTTP/1.0 that keeps": (
        fields(b"Connection: Keep-Alive", b"Content-Length: 1", status=b"HTTP/1.0 200 OK\r\n") + b"x", 200, False,
    ),
    "error": (b"HTTP/1.1 503 Service Unavailable\r\n" + LENGTH % 3 + b"no!", 503, False),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n" + LENGTH % 99, 304, False),
    "no content": (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, False),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH % 2 + b"ab", 200, False),
    "early hints": (b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n" * 3 + OK + LENGTH % 2 + b"ab", 200, False),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, True),
    "chunks": (CHUNKED + b"3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\n", 200, False),
    "chunks with more": (CHUNKED + b"3;a=b\r\nabc\r\n0 ; x\r\nTrailer: 1\r\nOther: 2\r\n\r\n", 200, False),
    "chunks with LF": (CHUNKED + b"3\nabc\n0\n\n", 200, False),
    "chunks before length": (
        fields(b"Content-Length: 3", b"Transfer-Encoding: gzip, chunked") + b"1\r\nx\r\n0\r\n\r\n", 200, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_reply(engine: str, name: str, piece: int) -> None:
    data, status, is_last = WHOLE[name]
    assert taken(engine, GET, data, piece) == ([(status, is_last, len(data))], None, False)
    assert taken(engine, GET, data[:-1], piece)[0] == []
    twice = [(status, is_last, len(data)), (status, is_last, 2 * len(data))]
    assert taken(engine, GET, data + data, piece) == (twice, None, False)


@pytest.mark.parametrize(
    "data",
    [
        OK + b"\r\nall that comes",
        OK + b"Transfer-Encoding: gzip\r\n\r\n3\r\nabc",
        OK + b"Transfer-Encoding: chunked, gzip\r\nContent-Length: 2\r\n\r\nabcdef",
        b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("piece", [1, 10_000])
def test_a_body_that_ends_with_the_connection(engine: str, data: bytes, piece: int) -> None:
    assert taken(engine, GET, data, piece) == ([], None, True)


def test_a_head_has_no_body(engine: str) -> None:
    data = OK + LENGTH % 500
    assert taken(engine, HEAD, data, 10_000) == ([(200, False, len(data))], None, False)


WRONG = {
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2": b"HTTP/2 200\r\n",
    "no status": b"HTTP/1.1 OK\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n",
    "a status from 600 on": b"HTTP/1.1 600 OK\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n",
    "an empty line first": b"\r\nHTTP/1.1 200 OK\r\n",
    "no number": OK + b"Content-Length: abc\r\n",
    "a negative number": OK + b"Content-Length: -1\r\n",
    "an empty number": OK + b"Content-Length:\r\n",
    "two numbers": OK + b"Content-Length: 1, 1\r\n",
    "numbers that differ": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "a number past 64 bits": OK + b"Content-Length: 1" + MOST + b"\r\n",
    "a number of many digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n",
    "no chunk": CHUNKED + b"\r\n",
    "garbage for a chunk": CHUNKED + b"zz",
    "a negative chunk": CHUNKED + b"-1",
    "a chunk past 64 bits": CHUNKED + b"1" + b"0" * 16,
    "a chunk that goes on": CHUNKED + b"3\r\nabcd",
    "a chunk with CR alone": CHUNKED + b"3\r\nabc\rx",
    "a chunk of blanks": CHUNKED + b" 3",
}  # fmt: skip


@pytest.mark.parametrize("piece", [1, 5, 100_000])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_reply(engine: str, name: str, piece: int) -> None:
    assert taken(engine, GET, WRONG[name], piece)[:2] == ([], "malformed")
    before = OK + LENGTH % 2 + b"ab"
    ended, why, _to_close = taken(engine, GET, before + WRONG[name] + b"more", piece)
    assert (ended, why) == ([(200, False, len(before))], "malformed")


@pytest.mark.parametrize(
    ("begin", "line"),
    [
        (b"", b"HTTP/1.1 200 "),
        (OK, b"X: "),
        (CHUNKED, b"1;"),
        (CHUNKED + b"0\r\n", b"T: "),
    ],
)
@pytest.mark.parametrize("piece", [1000, 1 << 20])
def test_a_header_has_an_end(engine: str, begin: bytes, line: bytes, piece: int) -> None:
    endless = begin + line + b"x" * (HEADER_BYTES + 1)
    assert taken(engine, GET, endless, piece)[:2] == ([], "header_too_long")
    assert taken(engine, GET, begin + line + b"x" * (HEADER_BYTES - len(line) - 100), piece)[1] is None


@pytest.mark.parametrize(
    "lines", [b"X: y\r\n" * 20_000, b"\r\nHTTP/1.1 100 Continue\r\n" * 5_000], ids=["fields", "continue"]
)
def test_a_header_of_many_lines_has_an_end(engine: str, lines: bytes) -> None:
    assert taken(engine, GET, b"HTTP/1.1 103 Hints\r\n" + lines, 5000)[:2] == ([], "header_too_long")


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("until", "data", "ends"),
    [
        (b"\n", b"PONG\r\nPONG\r\n", [6, 12]),
        (b"PONG\r\n", b"+PONG\r\n+PONG\r\n", [7, 14]),
        (b"aab", b"aaab aab", [4, 8]),
        (b"abab", b"ababab abab", [4, 11]),
        (b"aba", b"abababa", [3, 7]),
        (b"END\r\n", b"E END\rEND\r\n", [11]),
        (b"\0\xff", b"\0\0\xff", [3]),
        (b"x" * 255, b"x" * 254 + b"y" + b"x" * 255, [510]),
        (b"never", b"nevenevneve", []),
    ],
)
def test_a_reply_ends_with_certain_bytes(engine: str, until: bytes, data: bytes, ends: list[int], piece: int) -> None:
    asked = exchange.raw(b"?", until)
    assert taken(engine, asked, data, piece) == ([(0, False, end) for end in ends], None, False)


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_a_reply_has_so_many_bytes(engine: str, piece: int) -> None:
    asked = exchange.raw(b"?", reply_bytes=4)
    assert taken(engine, asked, b"abcdefghij", piece) == ([(0, False, 4), (0, False, 8)], None, False)


def test_a_reply_ends_as_the_server_closes(engine: str) -> None:
    assert taken(engine, exchange.raw(b"?", until_close=True), b"all of it", 4) == ([], None, True)
