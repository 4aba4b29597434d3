"""Ghosts: connections that the client holds as ESTABLISHED and the server does not have. Pure: both ends' sets in.

The sets are what `SockDiag.established_toward` and `established_at` give: 36 bytes a connection, equal at both ends.
`match_packed` takes them one behind the other: a million connections are 36 MB so, and some 150 MB as a set.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from collections.abc import Set as AbstractSet

from estab.kernel.formats import inet_diag
from estab.observe.fast_census import missing
from estab.records import Ghosts

MOST_EXAMPLES = 20


def match(client: AbstractSet[bytes], server: AbstractSet[bytes]) -> Ghosts:
    """The ghosts among the client's connections, up to 20 of them as the client sees them.

    `server_established` counts what the server has, connections of other clients included.
    """
    lost = client - server
    return _record(lost, len(client), len(server))


def match_packed(client: bytes, server: bytes, older: bytes = b"", *, turned_away: bool = False) -> Ghosts | None:
    """As `match`, of those of the client's that are not among `older`; None where none of the client's is at both ends.

    Where something between them rewrites addresses (NAT, a proxy), every connection of the client would look like a
    ghost. A true overflow leaves at least the connections in the accept queue at both ends; or none at all, where the
    program has closed what it accepted since: `turned_away` says that its listener did turn some away meanwhile.
    """
    lost, held = missing(client, server), missing(client, b"")
    if held and len(lost) == len(held) and (server or not turned_away):
        return None
    lost, held = missing(lost, older), missing(held, older)
    size = inet_diag.CONNECTION_SIZE
    ghosts = [lost[at : at + size] for at in range(0, len(lost), size)]
    return _record(ghosts, len(held) // size, len(missing(server, b"")) // size)


def at_both(these: bytes, those: bytes) -> bytes:
    """The packed connections that are among both."""
    return missing(these, missing(these, those))


def _record(lost: Collection[bytes], at_client: int, at_server: int) -> Ghosts:
    return Ghosts(
        count=len(lost),
        client_established=at_client,
        server_established=at_server,
        examples=[inet_diag.unpack_connection(packed) for packed in heapq.nsmallest(MOST_EXAMPLES, lost)],
    )
