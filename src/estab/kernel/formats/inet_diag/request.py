"""The question: which sockets, and what of each. A dump request with its filter program.

Source: `include/uapi/linux/inet_diag.h` and `sock_diag.h`, `net/ipv4/inet_diag.c`.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from estab.errors import ParseError
from estab.kernel.formats import netlink
from estab.kernel.formats.inet_diag.addresses import AF_INET, AF_INET6, AF_UNSPEC
from estab.kernel.formats.inet_diag.packing import CONNECTION

SOCK_DIAG_BY_FAMILY = 20
TCPDIAG_GETSOCK = 18  # the question from before there was one by family; its answer's messages have this type too
KINDS = (SOCK_DIAG_BY_FAMILY, TCPDIAG_GETSOCK)
IPPROTO_TCP = 6

# Extensions that may be asked for, each the bit (number - 1) of `idiag_ext`.
EXT_INFO, EXT_SKMEMINFO = 1 << 1, 1 << 6

_ATTR_BYTECODE = 1
_NO_COOKIE = b"\xff" * 8

_REQUEST = Struct("=BBBxI")
_REQUEST_OF_OLD = Struct("=BBBB")
_ID = Struct("!HH16s16s")
_OPERATION = Struct("=BBH")
_HOST_CONDITION = Struct("=BBxxi")
_OP_JUMP, _OP_SOURCE_GE, _OP_SOURCE_LE, _OP_DEST_GE, _OP_DEST_LE, _OP_DEST_CONDITION = 1, 2, 3, 4, 5, 8


def request(
    family: int,
    mask: int,
    *,
    extensions: int = 0,
    sequence: int = 1,
    local_port: int | tuple[int, int] | None = None,
    remote_port: int | None = None,
    remote_address: bytes | None = None,
    half: Half | None = None,
) -> bytes:
    """The dump request for TCP sockets of `family` (AF_INET, AF_INET6, AF_UNSPEC: both) in the states of `mask`.

    Both at once take one walk through the kernel's table in place of two. Only the question from before 3.3 asks so
    (`inet_diag_dump_compat` in `net/ipv4/inet_diag.c`). The kernel itself leaves out what the filter excludes
    (`inet_diag_bc_run`): a narrow question is answered cheaply. `remote_address` is 4 or 16 bytes; 4 bytes also match
    the IPv4-mapped peers of IPv6 sockets. `half` goes alone.
    """
    sockets = _ID.pack(0, 0, bytes(16), bytes(16)) + bytes(4) + _NO_COOKIE
    if family == AF_UNSPEC:
        kind, body = TCPDIAG_GETSOCK, _REQUEST_OF_OLD.pack(0, 0, 0, extensions) + sockets + Struct("=II").pack(mask, 0)
    else:
        kind, body = SOCK_DIAG_BY_FAMILY, _REQUEST.pack(family, IPPROTO_TCP, extensions, mask) + sockets
    if half is not None:
        code = half.bytecode()
    else:
        code = bytecode(local_port=local_port, remote_port=remote_port, remote_address=remote_address)
    if code:
        body += Struct("=HH").pack(4 + len(code), _ATTR_BYTECODE) + code
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), kind, flags, sequence, 0) + body


def request_one(packed: bytes, *, extensions: int = 0, sequence: int = 1) -> bytes:
    """The request for one connection, by its ends as `Established` packs them with this end as the client.

    The kernel finds it by its hash, however many there are, and looks IPv4-mapped ends up as IPv4
    (`inet_diag_find_one_icsk`, net/ipv4/inet_diag.c). Its answer is followed by an acknowledgement. Raises ParseError
    where these are not 36 bytes.
    """
    if len(packed) != CONNECTION.size:
        raise ParseError(f"a packed connection has {CONNECTION.size} bytes, not {len(packed)}")
    (ports, addresses), any_interface = (packed[32:], packed[:32]), bytes(4)
    body = _REQUEST.pack(AF_INET6, IPPROTO_TCP, extensions, 0) + ports + addresses + any_interface + _NO_COOKIE
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_ACK
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, sequence, 0) + body


def family_of(question: bytes) -> int:
    """The family that a `request` asks for."""
    return question[netlink.HEADER.size]


def bytecode(
    *,
    local_port: int | tuple[int, int] | None = None,
    remote_port: int | None = None,
    remote_address: bytes | None = None,
) -> bytes:
    """The filter program: every condition given must hold. Empty where none is given. Two local ports are a range.

    A port is tested by >= and <=, which every kernel knows; the operator for equality came with 4.16.
    """
    conditions: list[tuple[int, bytes]] = []
    if local_port is not None:
        low, high = local_port if isinstance(local_port, tuple) else (local_port, local_port)
        conditions += [(_OP_SOURCE_GE, _OPERATION.pack(0, 0, low)), (_OP_SOURCE_LE, _OPERATION.pack(0, 0, high))]
    if remote_port is not None:
        conditions += [(code, _OPERATION.pack(0, 0, remote_port)) for code in (_OP_DEST_GE, _OP_DEST_LE)]
    if remote_address is not None:
        family = AF_INET if len(remote_address) == 4 else AF_INET6
        any_port = -1
        operand = _HOST_CONDITION.pack(family, len(remote_address) * 8, any_port) + remote_address
        conditions.append((_OP_DEST_CONDITION, operand))
    code = b""
    # Built from the end: where a condition fails it jumps 4 bytes past the end, which rejects (`inet_diag_bc_audit`).
    for operation, operand in reversed(conditions):
        size = _OPERATION.size + len(operand)
        code = _OPERATION.pack(operation, size, size + len(code) + 4) + operand + code
    return code


@dataclass(frozen=True)
class Half:
    """Half of all sockets: those whose two ports lie on the `same` side of `middle` (up to it, above it), or the rest.

    With `middle` in the middle of the ports that connect() takes, each half has half of the clients' sockets and half
    of a server's, whatever its port.
    """

    middle: int
    same: bool

    def bytecode(self) -> bytes:
        """The filter program (`inet_diag_bc_run`): local <= middle ? test one : test the other."""
        below = (_OP_DEST_LE, _OPERATION.pack(0, 0, self.middle))
        above = (_OP_DEST_GE, _OPERATION.pack(0, 0, self.middle + 1))
        first, second = (below, above) if self.same else (above, below)
        test, jump = 2 * _OPERATION.size, _OPERATION.size
        whole = 3 * test + jump
        # A jump 4 bytes past the end rejects, one to the end accepts; the path of `yes` has to pass every operation.
        return b"".join(
            (
                _OPERATION.pack(_OP_SOURCE_LE, test, 2 * test + jump) + _OPERATION.pack(0, 0, self.middle),
                _OPERATION.pack(first[0], test, whole - test + 4) + first[1],
                _OPERATION.pack(_OP_JUMP, jump, jump + test),
                _OPERATION.pack(second[0], test, test + 4) + second[1],
            )
        )
