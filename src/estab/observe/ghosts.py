"""Ghosts: connections that the client holds as ESTABLISHED and the server does not have. Pure: both ends' sets in.

The sets are what `SockDiag.established_toward` and `established_at` give: 36 bytes a connection, equal at both ends.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from estab.kernel.formats import inet_diag
from estab.records import Ghosts

MOST_EXAMPLES = 20


def match(client: AbstractSet[bytes], server: AbstractSet[bytes]) -> Ghosts:
    """The ghosts among the client's connections, up to 20 of them as the client sees them.

    `server_established` counts what the server has, connections of other clients included.
    """
    lost = client - server
    return Ghosts(
        count=len(lost),
        client_established=len(client),
        server_established=len(server),
        examples=[inet_diag.unpack_connection(one) for one in sorted(lost)[:MOST_EXAMPLES]],
    )


def comparable(client: AbstractSet[bytes], server: AbstractSet[bytes]) -> bool:
    """Whether the two ends can be matched at all: the client has nothing, or at least one connection is at both.

    Where something between them rewrites addresses (NAT, a proxy), every connection of the client would look like a
    ghost. A true overflow leaves at least the connections in the accept queue at both ends.
    """
    return not client or not client.isdisjoint(server)
