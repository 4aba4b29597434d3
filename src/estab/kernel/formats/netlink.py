"""The netlink framing around every answer: headers, end of a dump, errors.

What lives here: walking the messages and attributes of one datagram (`include/uapi/linux/netlink.h`).
What never may: what a message's payload means, and the socket it came from.
Integers are in the byte order of the machine that captured them, which is the one that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from estab.errors import ParseError
from estab.records import Record

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSG_OVERRUN = 4

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_ROOT = 0x100
NLM_F_MATCH = 0x200
NLM_F_DUMP = NLM_F_ROOT | NLM_F_MATCH
# In an answer: the table changed while it was being dumped, so the dump may have lost or repeated entries.
NLM_F_DUMP_INTR = 0x10

HEADER = Struct("=IHHII")
_ATTRIBUTE = Struct("=HH")
_ERROR = Struct("=i")

# The top two bits of an attribute's type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER), the rest is its type.
_ATTRIBUTE_TYPE_MASK = 0x3FFF


class Message(Record, frozen=True, kw_only=True):
    """One netlink message. `start` and `end` bound its payload within the datagram, in bytes."""

    kind: int
    flags: int
    sequence: int
    start: int
    end: int

    @property
    def interrupted(self) -> bool:
        """Whether the kernel says that the dump was interrupted by changes and should be asked for again."""
        return bool(self.flags & NLM_F_DUMP_INTR)


def messages(data: bytes | memoryview, start: int = 0) -> Iterator[Message]:
    """Each message of one datagram from byte `start` on, control messages included, in order.

    Raises ParseError where a header does not fit, or names a length that cannot be.
    """
    offset, size = start, len(data)
    while offset < size:
        if size - offset < HEADER.size:
            raise ParseError(f"netlink header needs {HEADER.size} bytes, {size - offset} are left", offset)
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
        end = offset + length
        if length < HEADER.size or end > size:
            raise ParseError(f"netlink message of {length} bytes, {size - offset} are left", offset)
        yield Message(kind=kind, flags=flags, sequence=sequence, start=offset + HEADER.size, end=end)
        offset = (end + 3) & ~3


def goes_on(data: bytes | memoryview) -> bool:
    """Whether one datagram has nothing but answers, none of which says that the dump was interrupted or is over."""
    offset, size = 0, len(data)
    while offset < size:
        if size - offset < HEADER.size:
            return False
        length, kind, flags, _sequence, _port = HEADER.unpack_from(data, offset)
        if kind <= NLMSG_OVERRUN or flags & NLM_F_DUMP_INTR or length < HEADER.size:
            return False
        offset += (length + 3) & ~3
    return 0 < size <= offset


def is_end(data: bytes | memoryview) -> bool:
    """Whether one datagram is nothing but the end of a dump that went well."""
    if len(data) < HEADER.size:
        return False
    length, kind, flags, _sequence, _port = HEADER.unpack_from(data, 0)
    if kind != NLMSG_DONE or flags & NLM_F_DUMP_INTR or not HEADER.size <= length <= len(data):
        return False
    return not any(data[HEADER.size : length])


def error_number(data: bytes | memoryview, message: Message) -> int:
    """The positive errno that an NLMSG_ERROR, or an NLMSG_DONE that ended badly, carries; 0 for none.

    Raises ParseError where an NLMSG_ERROR is too short to hold one.
    """
    if message.end - message.start < _ERROR.size:
        # Old kernels end a dump with an empty NLMSG_DONE.
        if message.kind == NLMSG_DONE:
            return 0
        raise ParseError("netlink error message without its errno", message.start)
    number: int = _ERROR.unpack_from(data, message.start)[0]
    return max(0, -number)


def attributes(data: bytes | memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Each attribute between `start` and `end` as (type, start of its value, end of its value).

    Raises ParseError where an attribute does not fit.
    """
    offset = start
    while end - offset >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > end:
            raise ParseError(f"netlink attribute of {length} bytes, {end - offset} are left", offset)
        yield kind & _ATTRIBUTE_TYPE_MASK, offset + _ATTRIBUTE.size, offset + length
        offset = (offset + length + 3) & ~3
    if offset < end:
        raise ParseError(f"netlink attribute header needs {_ATTRIBUTE.size} bytes, {end - offset} are left", offset)
