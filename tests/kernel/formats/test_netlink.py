from __future__ import annotations

import struct

import pytest

from estab.errors import ParseError
from estab.kernel.formats import netlink


def message(kind: int, payload: bytes = b"", *, flags: int = 0, length: int | None = None) -> bytes:
    size = 16 + len(payload) if length is None else length
    return struct.pack("=IHHII", size, kind, flags, 7, 9) + payload


def test_messages_are_walked_with_their_padding() -> None:
    data = message(20, b"abc") + b"\0" + message(netlink.NLMSG_DONE, bytes(4))
    first, last = netlink.messages(data)
    assert data[first.start : first.end] == b"abc"
    assert (first.kind, first.sequence) == (20, 7)
    assert last.kind == netlink.NLMSG_DONE


def test_a_last_message_may_lack_its_padding() -> None:
    assert len(list(netlink.messages(message(20, b"abc")))) == 1


@pytest.mark.parametrize(
    ("data", "says", "offset"),
    [
        (b"\0" * 15, "needs 16 bytes, 15 are left", 0),
        (message(20, length=15), "message of 15 bytes", 0),
        (message(20, length=17), "message of 17 bytes, 16 are left", 0),
        (message(20) + b"junk", "needs 16 bytes, 4 are left", 16),
    ],
)
def test_damaged_framing(data: bytes, says: str, offset: int) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        list(netlink.messages(data))
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("kind", "payload", "errno"),
    [
        (netlink.NLMSG_ERROR, struct.pack("=i", -22), 22),
        (netlink.NLMSG_ERROR, struct.pack("=i", 0), 0),
        (netlink.NLMSG_DONE, struct.pack("=i", -1), 1),
        (netlink.NLMSG_DONE, b"", 0),
    ],
)
def test_errno(kind: int, payload: bytes, errno: int) -> None:
    data = message(kind, payload)
    assert [netlink.error_number(data, one) for one in netlink.messages(data)] == [errno]


def test_error_without_errno() -> None:
    data = message(netlink.NLMSG_ERROR, b"\0")
    with pytest.raises(ParseError, match="without its errno"):
        netlink.error_number(data, next(netlink.messages(data)))


def test_interrupted_dump() -> None:
    data = message(20, flags=netlink.NLM_F_DUMP_INTR | 2) + message(20, flags=2)
    assert [one.interrupted for one in netlink.messages(data)] == [True, False]


def test_attributes() -> None:
    data = struct.pack("=HH", 7, 0x8007) + b"abc\0" + struct.pack("=HH", 4, 11)
    assert list(netlink.attributes(data, 0, len(data))) == [(7, 4, 7), (11, 12, 12)]


@pytest.mark.parametrize("data", [b"\x03\0\x01\0", b"\x09\0\x01\0abcd", b"\x04\0\x01\0\x01"])
def test_damaged_attributes(data: bytes) -> None:
    with pytest.raises(ParseError, match="netlink attribute"):
        list(netlink.attributes(data, 0, len(data)))
