"""Which listener a connect() reaches, and what the wildcard address is to a client.

Around rule 2 of docs/kernel.md: whose queue it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from estab.kernel.formats.inet_diag import unmapped
from estab.records import Listener

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def reached(address: str) -> str:
    """What a connect() to `address` reaches: the wildcard stands for this host itself.

    Source: `net/ipv4/route.c ip_route_output_key_hash_rcu`, `net/ipv6/tcp_ipv6.c tcp_v6_connect`.
    """
    return _LOOPBACK.get(address, address)


def serving(listeners: Iterable[Listener], address: str, port: int, *, anywhere: bool = False) -> list[Listener]:
    """Those that a connect() to `address` reaches: bound to it, else to its family's wildcard, else to `::`.

    `address` is a literal. An IPv6 wildcard serves IPv4 too unless it is v6only; where that is not known, it does.
    SO_BINDTODEVICE is not looked at. `anywhere`: else any on that port, for a server that knows its own address by
    another name (NAT, a container).

    Source: `compute_score` in net/ipv4/inet_hashtables.c.
    """
    there = [listener for listener in listeners if listener.port == port]
    is_v4 = ":" not in address
    candidates = (
        [listener for listener in there if unmapped(listener.address) == address],
        [listener for listener in there if is_v4 and listener.address == "0.0.0.0"],
        [listener for listener in there if listener.address == "::" and not (is_v4 and listener.v6only)],
        there if anywhere else [],
    )
    return next((reaching for reaching in candidates if reaching), [])
