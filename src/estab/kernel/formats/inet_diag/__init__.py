"""sock_diag for TCP: the question (which sockets), and the answer (one `inet_diag_msg` a socket), read or counted.

What lives here: `include/uapi/linux/inet_diag.h` and `sock_diag.h`, as `net/ipv4/inet_diag.c` fills them.
What never may: the netlink socket, and what the figures mean for a verdict.
"""

from estab.kernel.formats.inet_diag.addresses import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    canonical,
    format_address,
    mapped,
    plain_address,
    unmapped,
)
from estab.kernel.formats.inet_diag.census import Established, SocketCounts, rest_of_dump
from estab.kernel.formats.inet_diag.packing import (
    CONNECTION_SIZE,
    missing,
    pack_connection,
    swapped,
    unpack_connection,
)
from estab.kernel.formats.inet_diag.peer_connections import OneConnection, PeerConnections
from estab.kernel.formats.inet_diag.request import (
    EXT_INFO,
    EXT_SKMEMINFO,
    KINDS,
    SOCK_DIAG_BY_FAMILY,
    Half,
    bytecode,
    family_of,
    request,
    request_one,
)
from estab.kernel.formats.inet_diag.sockets import Datagrams, DumpState, InetSocket, Sockets, parse_socket
from estab.kernel.formats.inet_diag.states import (
    ALL_STATES,
    BOUND_INACTIVE,
    CLOSE,
    CLOSE_WAIT,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LISTEN,
    STATE_NAMES,
    SYN_SENT,
    TIME_WAIT,
    state_name,
    states,
)

__all__ = [
    "AF_INET",
    "AF_INET6",
    "AF_UNSPEC",
    "ALL_STATES",
    "BOUND_INACTIVE",
    "CLOSE",
    "CLOSE_WAIT",
    "CONNECTION_SIZE",
    "ESTABLISHED",
    "EXT_INFO",
    "EXT_SKMEMINFO",
    "FIN_WAIT_1",
    "FIN_WAIT_2",
    "KINDS",
    "LISTEN",
    "SOCK_DIAG_BY_FAMILY",
    "STATE_NAMES",
    "SYN_SENT",
    "TIME_WAIT",
    "Datagrams",
    "DumpState",
    "Established",
    "Half",
    "InetSocket",
    "OneConnection",
    "PeerConnections",
    "SocketCounts",
    "Sockets",
    "bytecode",
    "canonical",
    "family_of",
    "format_address",
    "mapped",
    "missing",
    "pack_connection",
    "parse_socket",
    "plain_address",
    "request",
    "request_one",
    "rest_of_dump",
    "state_name",
    "states",
    "swapped",
    "unmapped",
    "unpack_connection",
]
