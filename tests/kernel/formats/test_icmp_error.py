"""ICMP errors as a socket's error queue has them: bytes of Linux 6.18, cut at every length, and noise."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import ParseError
from estab.kernel.formats import icmp_error


def _told(number: int, origin: int, says: tuple[int, int], info: int = 0, *, who: str = "10.1.0.254") -> bytes:
    error = struct.pack("=IBBBxII", number, origin, *says, info, 0)
    if ":" in who:
        return error + struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, who), 0)
    return error + struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(who))


@pytest.mark.parametrize(
    ("data", "who", "says", "mtu"),
    [
        (_told(errno.EHOSTUNREACH, 2, (3, 1)), "10.1.0.254", "host unreachable", None),
        (_told(errno.ECONNREFUSED, 2, (3, 3)), "10.1.0.254", "port unreachable", None),
        (_told(errno.EHOSTUNREACH, 2, (3, 13)), "10.1.0.254", "prohibited by a filter", None),
        (_told(errno.EMSGSIZE, 2, (3, 4), 1400), "10.1.0.254", "fragmentation needed", 1400),
        (_told(errno.EHOSTUNREACH, 3, (1, 3), who="2001:db8::1"), "2001:db8::1", "address unreachable", None),
        (_told(errno.EMSGSIZE, 3, (2, 0), 1280, who="2001:db8::1"), "2001:db8::1", "packet too big", 1280),
        (_told(errno.EHOSTUNREACH, 2, (3, 99)), "10.1.0.254", "ICMP type 3, code 99", None),
    ],
)
def test_who_said_what(data: bytes, who: str, says: str, mtu: int | None) -> None:
    error = icmp_error.parse(data)
    assert error is not None
    assert (error.who, error.says, error.mtu) == (who, says, mtu)


def test_what_the_host_says_itself_is_none() -> None:
    assert icmp_error.parse(_told(errno.EMSGSIZE, 1, (0, 0), 1500)) is None


@pytest.mark.parametrize("size", range(24))
def test_cut_short(size: int) -> None:
    data = _told(errno.EHOSTUNREACH, 2, (3, 1))[:size]
    if size < 16:
        with pytest.raises(ParseError):
            icmp_error.parse(data)
    else:
        error = icmp_error.parse(data)
        assert error is not None
        assert error.who is None


def test_an_address_of_another_family_is_not_known() -> None:
    error = icmp_error.parse(_told(errno.EHOSTUNREACH, 2, (3, 1))[:16] + struct.pack("=H14x", socket.AF_UNSPEC))
    assert error is not None
    assert error.who is None


@given(st.binary(max_size=64))
def test_noise_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        icmp_error.parse(data)
