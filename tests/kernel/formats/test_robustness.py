"""Every parser on every input: a value or ParseError. Whole, cut at every byte, with junk behind, mutated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz_formats import FAMILIES, PARSERS

from estab.errors import ParseError

Parser = Callable[[bytes], object]
DATA = Path(__file__).parents[2] / "data"


CAPTURED = sorted(path for path in DATA.glob("[0-9]*/*"))


def those_of(path: Path) -> dict[str, Parser]:
    """The parsers that are given what was captured there."""
    return {
        f"{family}: {name}": parser
        for family, (pattern, parsers) in FAMILIES.items()
        if path.match(pattern)
        for name, parser in parsers.items()
    }


def test_every_parser_has_captures_of_its_own() -> None:
    assert {name for path in CAPTURED for name in those_of(path)} == set(PARSERS)


def survive(data: bytes, parsers: Mapping[str, Parser] = PARSERS) -> None:
    """Each gives a value, or ParseError with one line and a place within the input."""
    for name, parser in parsers.items():
        raised: ParseError | None = None
        try:
            parser(data)
        except ParseError as error:
            raised = error
        except Exception as error:
            error.add_note(f"by the parser {name!r}")
            raise
        if raised is not None:
            assert "\n" not in str(raised), name
            assert raised.offset is None or 0 <= raised.offset <= len(data), name


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_captured_bytes_cut_at_every_byte_and_with_junk(path: Path) -> None:
    data = path.read_bytes()
    own = those_of(path)
    # Every byte of the first thousand; of a long text, more of the same lines tells nothing more. The parsers of other
    # formats, which most often refuse the first bytes, are given fewer of the pieces.
    for end in range(min(len(data), 1000) + 1):
        survive(data[:end], own if end % 16 else PARSERS)
    survive(data)
    for junk in (b"\0", b"\xff" * 3, b"\n", b"junk" * 5, bytes(100), data[:50]):
        survive(data + junk)


@given(data=st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    survive(data)


@given(data=st.text(alphabet="Tcp: 0123456789-_+.,/()[]socket\n\t%xunlimitedMaxopenfiles\u0663\x00", max_size=200))
def test_any_text(data: str) -> None:
    survive(data.encode())


@given(
    path=st.sampled_from(CAPTURED),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_captured_bytes_with_some_changed(path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    survive(bytes(data))


@given(
    words=st.lists(st.sampled_from(["9" * 5000, "1" * 400, "-1", "x", "0", "1_0"]), min_size=22, max_size=25),
    name=st.text(max_size=20),
)
def test_stat_with_numbers_beyond_any_clock(words: list[str], name: str) -> None:
    parsers = {"processes: stat": PARSERS["processes: stat"]}
    survive(f"1 ({name}) {' '.join(words)}".encode("utf-8", "replace"), parsers)
