"""Numbers: each option takes what it says, nothing that Python happens to read; options that clash are refused."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import pytest
from tests.cli.terminal import assert_one_clear_line, called

from estab.cli import values
from estab.cli.app import commands

GIVEN = {
    "attach": ["1"], "lab run": ["healthy"], "lab twin": ["x"], "compare": ["a", "b"], "cluster check": ["tcp://127.0.0.1:1"],
    "record": ["--dir", "none"], "probe": ["127.0.0.1:9"],
}  # fmt: skip
NO_NUMBERS = ("", "0x10", "1_000", "\u0663")  # of which Python takes three


@functools.cache
def numeric() -> list[tuple[str, str, object]]:
    """Every option of every command that takes a number, as (command, option, what reads it)."""
    return [
        (" ".join(words), argument.names[0], argument.parameter.converter)
        for words, command in commands()
        for argument in command.assemble_argument_collection()
        if argument.parse and argument.names and re.search(r"\b(int|float)\b", str(argument.hint))
    ]


def test_there_are_numbers_to_test() -> None:
    options = {(name, option) for name, option, _converter in numeric()}
    assert {("bench", "--connections"), ("bench", "--rate"), ("lab run", "--jobs"), ("watch", "--port")} <= options


def test_every_number_is_read_by_one_of_four() -> None:
    """None by Python itself, which takes what nobody means."""
    ours = (values._whole, values._number, values._seconds, values._size)
    assert [(name, option) for name, option, converter in numeric() if converter not in ours] == []


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("read", [values.whole, values.number, values.seconds, values.size])
def test_what_is_no_number(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        read(text)


def test_each_option_refuses_what_is_no_number() -> None:
    for name, option, _converter in numeric():
        assert_one_clear_line(called(*name.split(), *GIVEN.get(name, []), option, "1_000"), 2, option)


@pytest.mark.parametrize("text", ["1.5", "many", "1M5"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        values.size(text)


@pytest.mark.parametrize("text", ["1.5", "1e-3", "1.5e0", "1.2345k", "many", "1,5", "--", "5 5", "nan"])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        values.whole(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("+3", 3),
        ("-5", -5),
        ("007", 7),
        ("9" * 20, int("9" * 20)),
        ("10k", 10_000),
        ("1e6", 1_000_000),
        ("1.5M", 1_500_000),
        ("2.50e1", 25),
    ],
)
def test_what_is_a_whole_number(text: str, value: int) -> None:
    assert values.whole(text) == value


def test_a_number_that_nobody_means_is_refused_as_too_large() -> None:
    with pytest.raises(ValueError, match="too large"):
        values.whole("9" * 21)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1000", 1000), ("0.5", 0.5), (".5", 0.5), ("1e3", 1000), ("-1", -1), ("2k", 2000), ("1.5M", 1.5e6)],
)
def test_what_is_a_number(text: str, value: float) -> None:
    assert values.number(text) == value


@pytest.mark.parametrize("text", ["10us", "10µs", "10μs", "10 us"])
def test_microseconds_as_estab_itself_writes_them(text: str) -> None:
    assert values.seconds(text) == pytest.approx(1e-5)


def test_a_week_as_it_is_typed() -> None:
    assert (values.seconds("7d"), values.seconds("12h")) == (604_800, 43_200)


@pytest.mark.parametrize("text", ["\u0663s", "5 s s", "1e3", "+5", "5sec", "nan", "inf", ""])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        values.seconds(text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("hold", "--trickle", "0"), ("trickle", "0.001 to 10,000,000")),
        (("hold", "--in-flight", "0"), ("--in-flight is 0", "1 to 10,000,000")),
        (("bench", "-c", "9" * 19), ("connections", "9,999,999,999,999,999,999", "1 to 10,000,000")),
        (("bench", "--rate", "5"), ("rate of 5", "--mode rate")),
        (("bench", "--arrivals", "constant"), ("--arrivals", "--mode rate")),
        (("bench", "--mode", "flood", "--depth", "2"), ("depth is 2", "--depth")),
        (("churn", "--arrivals", "constant"), ("--arrivals", "--rate")),
        (("hold", "--size", "1k"), ("--size is what a trickle asks", "--trickle")),
        (("hold", "--gaps", "1s,soon"), ("--gaps is '1s,soon'", "'soon' is not a time", "1s,5s,30s")),
        (("hold", "--gaps", ""), ("--gaps is ''", "is not a time")),
        (("hold", "--gaps", "0"), ("--gaps is 0", "0.001 to 604,800 seconds")),
        (("hold", "--gaps", ",".join(map(str, range(1, 66)))), ("--gaps has 65 times", "1 to 64")),
        (("hold", "--gaps", "1s,5s", "-n", "1"), ("connections is 1", "2 to 1,000", "--gaps")),
        (("hold", "--gaps", "1s", "-d", "5", "--trickle", "9"), ("--gaps", "leave out --duration and --trickle")),
        (("hold", "--gaps", "1s", "--timeout", "0"), ("--timeout is 0", "--gaps")),
        (("hold", "--gaps", "1s", "--processes", "2"), ("--processes is more than 1", "--gaps")),
        (("hold", "--gaps", "1s", "--cluster", "tcp://127.0.0.1:1"), ("--cluster", "--gaps")),
        (("hold", "127.0.0.1:9", "--gaps", "1s", "--request", "x", "--until-close"), ("--until-close", "--gaps")),
        (("hold", "--find-idle", "0"), ("--find-idle is 0", "0.1 to 604,800 seconds")),
        (("hold", "--find-idle", "9s", "--gaps", "1s"), ("--find-idle", "leave out --gaps")),
        (("hold", "--find-idle", "9s", "--repeat", "2"), ("--repeat",)),
        (
            ("hold", "127.0.0.1:9", "--find-idle", "9s", "--request", "x", "--until-close"),
            ("--until-close", "--find-idle"),
        ),
        (("hold", "127.0.0.1:9", "--find-ceiling", "--cluster", "tcp://127.0.0.1:1"), ("--cluster", "search")),
        (("bench", "127.0.0.1:9", "--find-rate", "p99<5ms", "--cluster", "tcp://127.0.0.1:1"), ("--cluster", "search")),
        (("watch", "--once", "--speed", "2"), ("--speed 2", "--replay")),
        (("lab", "list", "--pcap", "x"), ("--pcap", "estab lab list --help")),
        (("lab", "run", "healthy", "--scale", "0.5"), ("--scale", "estab lab run --help")),
        (("lab", "twin", "x", "--jobs", "2"), ("--jobs", "estab lab twin --help")),
        (("limits", "127.0.0.1:9", "extra"), ("unexpected argument", "'extra'")),
    ],
)
def test_what_does_not_go_together_or_out_of_range(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_one_clear_line(called(*arguments), 2, *words)
