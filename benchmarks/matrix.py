"""Requests and answers at 1 to 10,000 connections and 64 to 65,536 bytes, against whoever has that shape."""

from __future__ import annotations

from benchmarks.cases import BASIC, Ask, Case, Row

CONNECTIONS = (1, 100, 1_000, 10_000)
SIZES = (64, 1_400, 65_536)
MOST_OF_SOCKPERF = 65_507  # bytes, the most that its -m takes
ONE_CORE = (
    "both ends of both programs on one core: with one request in flight they take turns anyway, and whether the "
    "scheduler puts them on one core or two, as it likes, makes a factor of five for any of these programs"
)


def _case(connections: int, size: int, peer: Ask, peer_name: str, programs: tuple[str, ...]) -> Case:
    one_core = {"cores": 1} if connections == 1 else {}
    name = f"rr-{connections}x{size}" + ("" if peer.what == "neper" else f"-{peer.what}")
    title = f"{connections:,} connection{'s' if connections > 1 else ''}, {size:,} bytes each way"
    return Case(
        name,
        (Row(name, title, "/s", "rate", "higher", 1.0),),
        Ask("own_bench", {"mode": "rr", "size": size, "connections": connections, **one_core}),
        Ask(peer.what, {**peer.options, "size": size, **one_core}),
        peer_name,
        programs,
        ONE_CORE if one_core else None,
    )


def _neper(connections: int, size: int) -> Case:
    ask = Ask("neper", {"program": "tcp_rr", "connections": connections})
    return _case(connections, size, ask, "neper tcp_rr", ("tcp_rr",))


def _netperf(connections: int, size: int) -> Case:
    ask = Ask("netperf", {"test": "TCP_RR", "connections": connections})
    return _case(connections, size, ask, "netperf TCP_RR", ("netperf", "netserver"))


def _sockperf(size: int) -> Case:
    return _case(1, size, Ask("sockperf"), "sockperf ping-pong", ("sockperf",))


MATRIX = (
    *(_neper(connections, size) for connections in CONNECTIONS for size in SIZES),
    *(_netperf(1, size) for size in SIZES),
    _netperf(10, 64),
    *(_sockperf(size) for size in SIZES if size <= MOST_OF_SOCKPERF),
)
CASES = BASIC + MATRIX
