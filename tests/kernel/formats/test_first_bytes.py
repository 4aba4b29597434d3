"""Whose reply it was: beginnings as real servers send them, cut where a record cuts them."""

from __future__ import annotations

import pytest

from estab.kernel.formats.first_bytes import protocol, text, words

KEPT = 32


@pytest.mark.parametrize(
    ("said", "speaks"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n", "HTTP"),
        (b"HTTP/1.0 408 Request Time-out\r\n", "HTTP"),
        (b"<html>\r\n<head><title>400 Bad Request</title></head>", "HTTP"),
        (b'<!DOCTYPE HTML>\n<html lang="en">', "HTTP"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", "HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "SSH"),
        (b"-ERR unknown command 'x', with args beginning with: \r\n", "redis"),
        (b"-NOAUTH Authentication required.\r\n", "redis"),
        (b"-DENIED Redis is running in protected mode", "redis"),
        (b"+OK Dovecot ready.\r\n", "POP3"),
        (b"ERROR\r\n", "memcached"),
        (b"ERROR\r\nERROR\r\n", "memcached"),
        (b"CLIENT_ERROR line too long\r\n", "memcached"),
        (b"220 mail.example.org ESMTP Postfix\r\n", "SMTP"),
        (b"220 (vsFTPd 3.0.3)\r\n", "FTP"),
        (b"220-a-long-host-name.example.org says welcome", "SMTP or FTP"),
        (b"* OK [CAPABILITY IMAP4rev1] ready", "IMAP"),
        (b"E\x00\x00\x00\x8dSFATAL\x00VFATAL\x00C08P01\x00M", "PostgreSQL"),
        (b"J\x00\x00\x00\n8.0.36-0ubuntu0.22.04.1\x00\x0b\x00", "MySQL"),
        (b"\\\x00\x00\x00\n5.5.5-10.11.6-MariaDB-0+deb12u1\x00", "MySQL"),
        (b"E\x00\x00\x00\xffj\x04Host '10.0.0.9' is not allowed", "MySQL"),
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"RFB 003.008\n", "VNC"),
        (b'INFO {"server_id":"NB', "NATS"),
    ],
)
def test_whose_it_is(said: bytes, speaks: str) -> None:
    assert protocol(text(said[:KEPT])) == speaks
    assert words(text(said[:KEPT])).startswith(f"it seems to speak {speaks}: its reply began ")


@pytest.mark.parametrize(
    "said", [b"", b"x", b"hello HTTP/1.1", b"\x8f\x00\x17", b"ERRORS", b"2200 m", b"E\x00\x00", b"\x00" * 32]
)
def test_what_nobody_is_known_to_say(said: bytes) -> None:
    assert protocol(text(said)) is None
    assert words(text(said)) == f'its reply began "{text(said)}"'


def test_any_bytes_become_printable_ascii_and_stay_apart() -> None:
    every = [bytes([a, b]) for a in range(256) for b in (0, 10, 65, 92)]
    texts = [text(data) for data in every]
    assert all(said.isascii() and said.isprintable() for said in texts)
    assert len(set(texts)) == len(every)


def test_it_is_found_byte_by_byte() -> None:
    whole = text(b"HTTP/1.1 400 Bad Request")
    known = [protocol(whole[:end]) for end in range(len(whole) + 1)]
    assert known == [None] * 6 + ["HTTP"] * (len(whole) - 5)
