from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from estab.errors import ParseError
from estab.kernel.formats import netlink, unix_diag
from estab.kernel.formats.inet_diag import LISTEN, SOCK_DIAG_BY_FAMILY, states
from estab.kernel.formats.unix_diag import UnixSocket, UnixSockets

Captured = Callable[[str], bytes]


def sockets(data: bytes) -> list[UnixSocket]:
    found = UnixSockets()
    found.add(data)
    return found.found


def test_captured_listeners(captured: Captured) -> None:
    found = {each.name: each for each in sockets(captured("unix-listen.bin"))}
    assert {name: (each.kind, each.rqueue, each.wqueue, each.uid) for name, each in found.items()} == {
        "estab-capture.sock": (1, 0, 4, 0),
        "@estab-capture": (1, 3, 2, 0),
        "@estab@packets": (5, 1, 5, 0),
    }
    assert all(each.inode and each.state == LISTEN for each in found.values())


def test_the_question() -> None:
    asked = unix_diag.request(states(LISTEN), sequence=9)
    length, kind, flags, sequence, _ = netlink.HEADER.unpack_from(asked)
    assert (length, kind, flags, sequence) == (len(asked), SOCK_DIAG_BY_FAMILY, 0x301, 9)
    # struct unix_diag_req: family, protocol, pad, states, inode, show (name, rqlen, uid), cookie.
    assert struct.unpack_from("=BBHIIIII", asked, netlink.HEADER.size) == (1, 0, 0, 1 << 10, 0, 0x51, *[0xFFFFFFFF] * 2)


def message(body: bytes) -> bytes:
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, 0, 1, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


HEAD = struct.pack("=BBBxIII", 1, 1, 10, 77, 1, 0)


def test_a_socket_without_what_an_older_kernel_does_not_say() -> None:
    assert sockets(message(HEAD)) == [UnixSocket(kind=1, state=10, inode=77)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"/run/app.sock\0", "/run/app.sock"),
        (b"/run/app.sock\0junk", "/run/app.sock"),
        (b"/run/app.sock", "/run/app.sock"),
        (b"\0app", "@app"),
        (b"\0a\0b", "@a@b"),
        (b"/run/\xff\0", "/run/\\xff"),
        (b"/run/\xc3\xa9\0", "/run/\u00e9"),
        (b"", None),
    ],
)
def test_names(name: bytes, text: str | None) -> None:
    assert sockets(message(HEAD + attribute(0, name)))[0].name == text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HEAD[:15], "needs 16 bytes"),
        (b"\2" + HEAD[1:], "family 2"),
        (HEAD + struct.pack("=HH", 99, 4), "99 bytes"),
    ],
)
def test_damaged(body: bytes, words: str) -> None:
    with pytest.raises(ParseError, match=words):
        sockets(message(body))


def test_an_error_ends_the_dump() -> None:
    refused = struct.pack("=IHHII", 36, netlink.NLMSG_ERROR, 0, 1, 0) + struct.pack("=i", -2) + bytes(16)
    state = UnixSockets().add(refused)
    assert (state.done, state.errno) == (True, 2)


def test_cut_at_every_byte_and_with_junk(captured: Captured) -> None:
    data = captured("unix-listen.bin")
    for end in range(len(data)):
        try:
            sockets(data[:end])
        except ParseError as error:
            assert error.offset is None or error.offset <= end
    with pytest.raises(ParseError):
        sockets(data + b"junk")
