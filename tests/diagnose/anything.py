"""Records built from the types of their fields alone, whether they make sense or not: what `of` gives.

A record has some hundred fields: to let Hypothesis draw each is dear. It draws a seed, and how full the record is.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from functools import cache, partial
from random import Random

import msgspec
from hypothesis import strategies as st

WORDS = [
    "connect",
    "write",
    "read",
    "close",
    "accept",
    "EMFILE",
    "ENFILE",
    "EADDRNOTAVAIL",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "own_timeout",
    "eof",
    "ECONNRESET",
    "EPIPE",
    "EHOSTUNREACH",
    "EPERM",
    "client",
    "server",
    "hold",
    "churn",
    "bench",
    "0",
    "1",
    "6.18.44",
    "²",
]
NAMES = [
    "connections",
    "timeout_s",
    "ramp_per_s",
    "backlog_asked",
    "target",
    "0",
    "1",
    "net.core.somaxconn",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_tw_reuse_delay",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syn_linear_timeouts",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.EmbryonicRsts",
    "TcpExt.TCPSynRetrans",
    "Tcp.PassiveOpens",
    "TcpExt.ListenDrops",
    "conntrack_allowance_exceeded",
    "conntrack_allowance_available",
    "NETFILTER_DROP",
    "TcpExt.ListenOverflows",
    "TcpExt.TCPDeferAcceptDrop",
    "TcpExt.SyncookiesFailed",
]
# Letters of one to four bytes, what steers a terminal, and what is markup somewhere.
LETTERS = "ab0 ./:%[]<>&\"'\\\0\x07\x1b\r\n\t\x7f\x85\xa0éß²連\u200b\u202e\u2028\ufeff\uffff😀\U0010ffff"
NUMBERS = (-(2**63), -(2**53), -1, 0, 1, 2, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 2**53, 2**63 - 1)
FRACTIONS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-9, 5e-324, 1e16, 1e300, float("inf"), float("-inf"), float("nan"))
MOST_LISTED = 3

Made = Callable[[Random, float], typing.Any]


def of(kind: type) -> st.SearchStrategy[typing.Any]:
    """Values of a record's type, without any regard to whether they make sense together; the simplest: all defaults."""
    return st.builds(partial(made, kind), st.integers(0, 2**32), st.sampled_from((0.0, 0.1, 0.5, 1.0)))


def made(kind: type, seed: int, fullness: float) -> typing.Any:
    """The value of this seed. `fullness`: how many of the fields that have a default do not keep it."""
    return _maker(kind)(Random(seed), fullness)


@cache
def _maker(kind: typing.Any) -> Made:
    if kind in _BASICS:
        return _BASICS[kind]
    if typing.get_origin(kind) is not None or typing.get_args(kind):
        return _of_generic(typing.get_origin(kind), typing.get_args(kind))
    fields = [field for field in msgspec.structs.fields(kind) if field.name != "schema"]
    makers = [(field.name, field.required, _maker(field.type)) for field in fields]

    def record(random: Random, fullness: float) -> typing.Any:
        return kind(
            **{
                name: make(random, fullness) for name, required, make in makers
                if required or random.random() < fullness
            }
        )  # fmt: skip

    return record


def _of_generic(origin: typing.Any, arguments: tuple[typing.Any, ...]) -> Made:
    if origin is typing.Literal:
        return lambda random, _fullness: random.choice(arguments)
    if origin is list:
        each = _maker(arguments[0])
        return lambda random, fullness: [each(random, fullness) for _ in range(random.randint(0, MOST_LISTED))]
    if origin is dict:
        value = _maker(arguments[1])
        return lambda random, fullness: {
            _key(random): value(random, fullness) for _ in range(random.randint(0, MOST_LISTED))
        }
    makers = [_maker(argument) for argument in arguments]
    return lambda random, fullness: random.choice(makers)(random, fullness)


def _integer(random: Random, _fullness: float) -> int:
    draw = random.random()
    if draw < 0.6:
        return random.randint(-3, 500)
    return random.choice(NUMBERS) if draw < 0.8 else random.getrandbits(random.randint(1, 63)) * random.choice((-1, 1))


def _fraction(random: Random, _fullness: float) -> float:
    draw = random.random()
    if draw < 0.3:
        return random.choice(FRACTIONS)
    return random.uniform(-3, 500) if draw < 0.8 else random.uniform(-1, 1) * 10.0 ** random.randint(-300, 300)


def _text(random: Random, most: int = 8) -> str:
    return "".join(random.choices(LETTERS, k=random.randint(0, most)))


def _word(random: Random, _fullness: float) -> str:
    return random.choice(WORDS) if random.random() < 0.5 else _text(random)


def _key(random: Random) -> str:
    return random.choice(NAMES) if random.random() < 0.5 else _text(random, 5)


_BASICS: dict[object, Made] = {
    int: _integer,
    float: _fraction,
    str: _word,
    bool: lambda random, _fullness: random.random() < 0.5,
    type(None): lambda _random, _fullness: None,
}
