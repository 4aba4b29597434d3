"""Bytes of a recording, plain or compressed with gzip or zstd, as lines. It reads chunk by chunk, whatever the size.

What was compressed and cut off, as by `kill -9` or a full disk, gives every line that is whole and then ends.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Any

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
    stream = iter(chunks)
    first = next(stream, b"")
    whole = chain([first], stream)
    if not is_compressed(first):
        yield from ((False, chunk) for chunk in whole)
        return
    parts = _fed(_Gzip().feed, whole) if first.startswith(GZIP) else _zstd(whole)
    yield from ((True, part) for part in parts)


def _fed(feed: Callable[[bytes], Iterator[bytes]], chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield from feed(chunk)


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


def _zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Frames of zstd: by Python 3.14's own module, by `zstandard`, or by the command `zstd`, whichever is there."""
    with contextlib.suppress(ImportError):
        return _fed(_frames(importlib.import_module("compression.zstd").ZstdDecompressor), chunks)
    with contextlib.suppress(ImportError):
        return _fed(_frames(importlib.import_module("zstandard").ZstdDecompressor().decompressobj), chunks)
    command = shutil.which("zstd")
    if command is None:
        raise MachineError(
            "it is compressed with zstd, for which there is neither the command `zstd` here nor Python's `zstandard`: "
            "apt-get install zstd"
        )
    return _by_command([command, "-dcq"], chunks)


def _frames(decompressor: Callable[[], Any]) -> Callable[[bytes], Iterator[bytes]]:
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


def _by_command(command: Sequence[str], chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a command makes of the chunks on its standard input. One that ends too early is read as far as it goes."""
    raised: list[BaseException] = []

    def pour(into: IO[bytes]) -> None:
        try:
            with into:
                for chunk in chunks:
                    into.write(chunk)
        except BrokenPipeError:
            pass  # the command has ended: its exit code says why
        except BaseException as error:  # it is for the reader
            raised.append(error)

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        writer = threading.Thread(target=pour, args=[child.stdin], daemon=True)
        writer.start()
        try:
            while part := child.stdout.read(CHUNK):
                yield part
            child.wait()
        finally:
            child.stdout.close()  # where nobody wants more, it can't go on
            child.kill()
            writer.join()
        told = child.stderr.read().decode("utf-8", "replace")
    if raised:
        raise raised[0]
    if child.returncode > 0 and "premature end" not in told:
        raise ReadError(f"its compression is damaged: {' '.join(told.split())}")
