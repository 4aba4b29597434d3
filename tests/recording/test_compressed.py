"""Plain or compressed, in chunks of any size: the same lines; what is cut off gives those that are whole."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import MachineError, ReadError
from estab.recording.compressed import decompress, lines

TEXT = b"".join(b"line %d\n" % number for number in range(200))
WHOLE = TEXT.splitlines()


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@given(st.integers(4, 5_000))
def test_chunks_of_any_size_give_the_same_lines(size: int) -> None:
    for data in (TEXT, gzip.compress(TEXT), gzip.compress(TEXT[:700]) + gzip.compress(TEXT[700:])):
        assert [line for line in lines(chunks(data, size)) if line] == WHOLE


@given(st.integers(0, 2_000))
def test_what_was_cut_off_gives_each_line_that_is_whole(cut: int) -> None:
    """As after `kill -9`: every line was flushed, the last one may be torn."""
    member = zlib.compressobj(9, zlib.DEFLATED, 31)
    flushed = [member.compress(line + b"\n") + member.flush(zlib.Z_SYNC_FLUSH) for line in WHOLE[:60]]
    data = b"".join(flushed)[:cut]
    found = list(lines([data] if data else []))
    if len(data) >= 4:
        assert found == WHOLE[: len(found)]
        complete = sum(sum(map(len, flushed[: n + 1])) <= len(data) for n in range(len(flushed)))
        assert len(found) in (complete, complete + 1)


def test_a_last_line_without_an_end_counts_where_nothing_was_compressed() -> None:
    assert list(lines([b"one\ntwo"])) == [b"one", b"two"]


def test_damage_is_said() -> None:
    damaged = bytearray(gzip.compress(TEXT))
    damaged[20:40] = bytes(20)
    with pytest.raises(ReadError, match="its compression is damaged"):
        list(lines([bytes(damaged)]))


def test_what_grows_beyond_measure_is_refused() -> None:
    assert decompress(gzip.compress(TEXT), 10_000) == TEXT
    with pytest.raises(ReadError, match="more than 10 MB"):
        decompress(gzip.compress(bytes(30_000_000)), 10_000_000)


ZSTD = bytes.fromhex("28b52ffd0450490000 6f6e650a74776f0a".replace(" ", ""))


@pytest.fixture
def no_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No module for zstd, and no command but what a test makes."""
    for name in ("compression.zstd", "compression", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_module")
def test_without_zstd_it_says_what_to_do() -> None:
    with pytest.raises(MachineError, match="apt-get install zstd"):
        list(lines([ZSTD]))


@pytest.mark.usefixtures("no_module")
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("/usr/bin/tail -c +5", None),
        ("/usr/bin/tail -c +5; echo 'zstd: Read error (39) : premature end' >&2; exit 1", None),
        ("/usr/bin/cat > /dev/null; echo 'zstd: Decoding error (36) :  Data corruption' >&2; exit 1", r"\(36\) : Data"),
        ("exit 1", "is damaged"),
    ],
)
def test_zstd_is_read_by_the_command(script: str, says: str | None, tmp_path: Path) -> None:
    (tmp_path / "zstd").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "zstd").chmod(0o755)
    many = b"".join(b"line %d\n" % number for number in range(100_000))
    data = [ZSTD[:4] + many[:1_000], *chunks(many[1_000:], 65_536)]
    if says is None:
        assert list(lines(data)) == many.splitlines()
        assert next(lines(data)) == b"line 0"  # and who wants no more leaves nothing behind
        return
    with pytest.raises(ReadError, match=says):
        list(lines(data))


def test_zstd_is_read_by_whichever_module_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frame:
        eof = True
        unused_data = b""

        def decompress(self, _data: bytes) -> bytes:
            return b"one\ntwo\n"

    module = ModuleType("compression.zstd")
    monkeypatch.setattr(module, "ZstdDecompressor", Frame, raising=False)
    monkeypatch.setitem(sys.modules, "compression", ModuleType("compression"))
    monkeypatch.setitem(sys.modules, "compression.zstd", module)
    assert list(lines([ZSTD])) == [b"one", b"two"]
