"""What is asked: bytes as people type them, requests and the ends of their replies, paths and hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import UsageError
from estab.load import exchange
from estab.load.exchange import CLOSE, ECHO, HTTP, LENGTH, NOTHING, UNTIL, Exchange
from estab.load.target import Url, authority, url


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (r"PING\r\n", b"PING\r\n"),
        (r"\0\1\17\377", b"\x00\x01\x0f\xff"),
        (r"\x1f\x0a\xFF\x1g", b"\x1f\n\xff\x01g"),
        (r"a\\b\"c\'d\t\a\e", b"a\\b\"c'd\t\a\x1b"),
        ("über", "über".encode()),
        ("", b""),
    ],
)
def test_bytes_as_printf_writes_them(text: str, data: bytes) -> None:
    assert exchange.unescape(text) == data


@pytest.mark.parametrize("text", ["\\", r"a\q", r"\x", r"\xg"])
def test_what_is_no_escape(text: str) -> None:
    with pytest.raises(ValueError, match="is no escape"):
        exchange.unescape(text)


@given(st.binary(max_size=100))
def test_what_is_written_is_read_as_it_was(data: bytes) -> None:
    text = exchange.escape(data)
    assert text.isascii()
    assert text.isprintable()
    assert exchange.unescape(text) == data


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (exchange.echo(0), NOTHING),
        (exchange.echo(9), Exchange(ECHO, 9)),
        (exchange.raw(b"?", b"!\n"), Exchange(UNTIL, 1, b"?", b"!\n")),
        (exchange.raw(b"?", reply_bytes=5), Exchange(LENGTH, 1, b"?", reply_bytes=5)),
        (exchange.raw(b"?", until_close=True), Exchange(CLOSE, 1, b"?")),
        (exchange.raw(b"PUT /x HTTP/1.0\n\n"), Exchange(HTTP, 17, b"PUT /x HTTP/1.0\n\n")),
        (exchange.raw(b"PUT /x HTTP/1.1\r\n\r\n", b"\n"), Exchange(UNTIL, 19, b"PUT /x HTTP/1.1\r\n\r\n", b"\n")),
    ],
)
def test_how_a_reply_ends(asked: Exchange, expected: Exchange) -> None:
    assert asked == expected


def test_a_head_is_told_to_the_engine() -> None:
    assert exchange.raw(b"HEAD / HTTP/1.1\r\n\r\n").config()["is_head"] is True
    assert exchange.get("/", "h").config()["is_head"] is False
    assert exchange.raw(b"HEAD ", b"x").config()["is_head"] is False


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("example:80", "example"),
        ("http://example", "example"),
        ("http://example:8080/a", "example:8080"),
        (":8080", "127.0.0.1:8080"),
        ("[::1]:81", "[::1]:81"),
        ("http://[fe80::1%25eth0]/", "[fe80::1]"),
        ("bücher.example:80", "xn--bcher-kva.example"),
    ],
)
def test_the_host_that_is_named(target: str, host: str) -> None:
    assert authority(target) == host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://h", Url("http", "h", "/")),
        ("HTTP://me:x@h:1?a=b#c", Url("http", "h:1", "/?a=b")),
        ("https://h/a/b?c#d", Url("https", "h", "/a/b?c")),
        ("h:1", None),
        ("[::1]:1", None),
    ],
)
def test_a_url(text: str, expected: Url | None) -> None:
    assert url(text) == expected


@pytest.mark.parametrize("path", ["", "x", "/a b", "/ü", "/a\r\nX: y", "/" + "a" * 9000])
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(UsageError, match="`http`"):
        exchange.check_path(path, "http")
