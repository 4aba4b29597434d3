"""Connections packed into 36 bytes each: the client's address, the server's, and both ports, alike at both ends.

Addresses have 16 bytes, IPv4 as IPv4-mapped, so that both ends pack one connection alike whatever their family.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from estab.errors import ParseError
from estab.kernel.formats.inet_diag.addresses import packed_address, plain_address
from estab.records import Tuple4

CONNECTION = Struct("36s")
CONNECTION_SIZE = CONNECTION.size


def missing(these: bytes, those: bytes) -> bytes:
    """The connections among `these` (packed, 36 bytes each) that are not among `those`, each once, in their order.

    This is the specification of `estab._engine.set_difference`. Raises ValueError where either is not whole.
    """
    known = {connection for (connection,) in _whole(those)}
    return b"".join(dict.fromkeys(connection for (connection,) in _whole(these) if connection not in known))


def _whole(packed: bytes) -> Iterator[tuple[bytes]]:
    if len(packed) % CONNECTION.size:
        raise ValueError(f"packed connections have {CONNECTION.size} bytes each")
    return CONNECTION.iter_unpack(packed)


def pack_connection(connection: Tuple4) -> bytes:
    """A connection that the server lists, as `Established` packs it. Raises ParseError for what is no address."""
    ends = [
        (connection.remote_address, connection.remote_port),
        (connection.local_address, connection.local_port),
    ]
    for _, port in ends:
        if not 0 <= port <= 65535:
            raise ParseError(f"{port} is no port")
    packed = [packed_address(address) for address, _ in ends]
    return b"".join([*packed, *(port.to_bytes(2, "big") for _, port in ends)])


def swapped(connection: Tuple4) -> Tuple4:
    """The same connection as its other end sees it."""
    return Tuple4(
        local_address=connection.remote_address,
        local_port=connection.remote_port,
        remote_address=connection.local_address,
        remote_port=connection.local_port,
    )


def unpack_connection(packed: bytes) -> Tuple4:
    """36 bytes of `Established` as the client sees the connection. Raises ParseError for another length."""
    if len(packed) != CONNECTION.size:
        raise ParseError(f"a packed connection has {CONNECTION.size} bytes, not {len(packed)}")
    return Tuple4(
        local_address=plain_address(packed[:16]),
        local_port=int.from_bytes(packed[32:34], "big"),
        remote_address=plain_address(packed[16:32]),
        remote_port=int.from_bytes(packed[34:], "big"),
    )
