"""Small texts of /proc and /sys: a number in hexadecimal, a limit that may be `max`, one line of /proc/meminfo.

What lives here: what several parsers share. Each raises ParseError with the value and, where it is known, the place.
"""

from __future__ import annotations

import re

from estab.errors import ParseError

_DECIMAL = re.compile(rb"[0-9]{1,20}")
_HEX = re.compile(rb"[0-9a-fA-F]{1,16}")


def text(data: bytes) -> str:
    """UTF-8 text without the white space (and the NUL) around it. Raises ParseError where it is not UTF-8."""
    try:
        return data.decode().strip().strip("\0").strip()
    except UnicodeDecodeError as error:
        raise ParseError(f"not text: {data[:40]!r}", error.start) from error


def decimal(word: bytes, offset: int | None = None) -> int:
    """A number without a sign, of at most 20 digits (64 bits). Raises ParseError."""
    if not _DECIMAL.fullmatch(word):
        raise ParseError(f"not a number: {word[:40]!r}", offset)
    return int(word)


def hexadecimal(word: bytes, offset: int | None = None) -> int:
    """A hexadecimal number of at most 16 digits, without 0x. Raises ParseError."""
    if not _HEX.fullmatch(word):
        raise ParseError(f"not a hexadecimal number: {word[:40]!r}", offset)
    return int(word, 16)


def memory_available_bytes(data: bytes) -> int:
    """`MemAvailable` of /proc/meminfo (fs/proc/meminfo.c, in kB there). Raises ParseError where it is missing."""
    offset = 0
    for line in data.splitlines(keepends=True):
        words = line.split()
        if words[:1] == [b"MemAvailable:"]:
            if len(words) < 2:
                raise ParseError("'MemAvailable:' without a number", offset)
            return decimal(words[1], offset) * 1024
        offset += len(line)
    raise ParseError("no 'MemAvailable:' in meminfo")
