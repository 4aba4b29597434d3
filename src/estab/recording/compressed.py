"""Bytes of a recording, plain or compressed with gzip or zstd, as lines. It reads chunk by chunk, whatever the size.

What was compressed and cut off, as by `kill -9` or a full disk, gives every line that is whole and then ends.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from estab.errors import MachineError, ReadError

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
CHUNK = 1 << 16
LONGEST_LINE = 256_000_000


def is_compressed(start: bytes) -> bool:
    """Whether bytes that begin so are compressed."""
    return start.startswith((GZIP, ZSTD))


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that the chunks hold when decompressed, without their ends. Raises ReadError, MachineError."""
    rest, compressed = b"", False
    for chunk in _plain(chunks):
        compressed, data = chunk[0], rest + chunk[1]
        *whole, rest = data.split(b"\n")
        yield from whole
        if len(rest) > LONGEST_LINE:
            raise ReadError(f"it has a line of more than {LONGEST_LINE / 1e6:,.0f} MB")
    if rest and not compressed:
        yield rest


def decompress(data: bytes, most: int) -> bytes:
    """All that `data` holds. Raises ReadError where that is more than `most` bytes."""
    held = bytearray()
    for _compressed, chunk in _plain([data]):
        held += chunk
        if len(held) > most:
            raise ReadError(f"decompressed it is more than {most / 1e6:,.0f} MB")
    return bytes(held)


def _plain(chunks: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Whether it was compressed, and what each chunk holds."""
    feed: Callable[[bytes], Iterator[bytes]] | None = None
    for number, chunk in enumerate(chunks):
        if number == 0 and is_compressed(chunk):
            feed = _Gzip().feed if chunk.startswith(GZIP) else _zstd()
        if feed is None:
            yield False, chunk
        else:
            for part in feed(chunk):
                yield True, part


class _Gzip:
    """Members of gzip (RFC 1952) one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(31)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What one more chunk gives, in parts of some megabytes at most. Raises ReadError for damage."""
        try:
            while chunk:
                yield self._member.decompress(chunk, 1 << 22)
                chunk = self._member.unconsumed_tail
                if self._member.eof:
                    chunk, self._member = self._member.unused_data, zlib.decompressobj(31)
        except zlib.error as error:
            raise ReadError(f"its compression is damaged: {error}") from error


def _zstd() -> Callable[[bytes], Iterator[bytes]]:
    """Frames of zstd, by Python 3.14's own module, or by `zstandard` where that is installed."""
    try:
        decompressor: Any = importlib.import_module("compression.zstd").ZstdDecompressor
    except ImportError:
        try:
            decompressor = importlib.import_module("zstandard").ZstdDecompressor().decompressobj
        except ImportError as error:
            raise MachineError(
                "it is compressed with zstd, for which this Python lacks `zstandard`: pip install zstandard, or give "
                "it as zstd -dc FILE | estab diagnose -"
            ) from error
    frame = decompressor()

    def feed(chunk: bytes) -> Iterator[bytes]:
        nonlocal frame
        try:
            while chunk:
                yield frame.decompress(chunk)
                chunk = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame = decompressor()
        except Exception as error:  # each module has an error of its own
            raise ReadError(f"its compression is damaged: {error}") from error

    return feed
