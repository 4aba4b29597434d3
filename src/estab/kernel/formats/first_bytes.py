"""What a peer that was expected to echo seems to be, by how its reply began.

What lives here: bytes as a record keeps them, and a table of beginnings. Protocols in which a server says who it is, or
that it did not understand.
"""

from __future__ import annotations

import re

_BYTE = r"(?:\\x[0-9a-f]{2}|\\[tnr\\]|[^\\])"  # one byte of what `text` gives
# In order: of two that fit, the first is meant.
_BEGINNINGS = (
    (r"HTTP/\d|(?i:<html|<!doctype)", "HTTP"),  # RFC 9112, section 4; an error page without a status line
    (rf"\\x00\\x00{_BYTE}\\x04\\x00\\x00\\x00\\x00\\x00", "HTTP/2"),  # a SETTINGS frame: RFC 9113, section 3.4
    (r"\\x1[56]\\x03", "TLS"),  # an alert or a handshake: RFC 8446, section 5.1
    (r"SSH-", "SSH"),  # RFC 4253, section 4.2
    (r"\+OK ", "POP3"),  # RFC 1939, section 4
    (r"-(ERR|NOAUTH|DENIED|LOADING|WRONGPASS)|\+PONG", "redis"),  # RESP: redis.io, "Redis serialization protocol"
    (r"(ERROR|CLIENT_ERROR .*|SERVER_ERROR .*)(\\r\\n|$)", "memcached"),  # memcached, doc/protocol.txt, "Error strings"
    (r"(220|421|554)[ -].*SMTP", "SMTP"),  # RFC 5321, section 4.2
    (r"(220|421)[ -].*FTP", "FTP"),  # RFC 959, section 5.4
    (r"(220|421|554)[ -]", "SMTP or FTP"),
    (r"\* (OK|BYE|PREAUTH)", "IMAP"),  # RFC 9051, section 7.1
    (r"E\\x00\\x00" + _BYTE * 2 + "S", "PostgreSQL"),  # postgresql.org, "Message Formats", ErrorResponse
    (_BYTE + r"\\x00\\x00\\x00\\n\d|" + _BYTE * 2 + r"\\x00\\x00\\xff", "MySQL"),  # dev.mysql.com, HandshakeV10
    (r"AMQP", "AMQP"),  # AMQP 0-9-1, section 4.2.2
    (r"RFB \d", "VNC"),  # RFC 6143, section 7.1.1
    (r"INFO \{", "NATS"),  # docs.nats.io, "Client Protocol"
)
# What is said to a connection for which there is no room any more.
_FULL = (
    r"-ERR max number of clients",  # redis: acceptCommonHandler
    r"ERROR Too many open connections",  # memcached: drive_machine
    r"421(\D|$)",  # SMTP and FTP: "Service not available, closing": RFC 5321, section 4.2.3; RFC 959, section 4.2.1
    r"E\\x00\\x00.*C53300",  # PostgreSQL: too_many_connections, "PostgreSQL Error Codes"
    rf"{_BYTE * 4}\\xff\\x10\\x04",  # MySQL: ER_CON_COUNT_ERROR, 1040
    r"(?i:.*too many (open )?(connections|clients))",
)
_FULL_PATTERNS = tuple(re.compile(words) for words in _FULL)
_PATTERNS = tuple((re.compile(beginning), name) for beginning, name in _BEGINNINGS)


def text(data: bytes) -> str:
    r"""Bytes as text for any terminal: what is no printable ASCII, and the backslash, is escaped as Python does it."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def words(first_bytes: str) -> str:
    """The peer in words that go on after a colon."""
    name = protocol(first_bytes)
    return f'{f"it seems to speak {name}: " if name else ""}its reply began "{first_bytes}"'


def no_echo(first_bytes: str) -> str:
    """Who answers there, by how its first reply began, and what can be asked of any server."""
    ask = "--http / asks it" if protocol(first_bytes) == "HTTP" else "--request and --until ask any server"
    return f"The target is no echo server; {words(first_bytes)}. {ask}; estab hold only connects."


def no_http(first_bytes: str) -> str:
    """Who answers there in place of a server of HTTP, by how its first reply began."""
    return f"The target does not speak HTTP; {words(first_bytes)}. --request and --until ask any server."


def protocol(first_bytes: str) -> str | None:
    """What the peer speaks, by what `text` gave of its first bytes; None where nothing known begins so."""
    return next((name for pattern, name in _PATTERNS if pattern.match(first_bytes)), None)


def tells_full(first_bytes: str) -> bool:
    """Whether what `text` gave of a peer's first bytes says that it has as many connections as it may."""
    return any(pattern.match(first_bytes) for pattern in _FULL_PATTERNS)
