from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import ParseError
from estab.kernel.formats import inet_diag, netlink
from estab.kernel.formats.inet_diag import InetSocket, SocketCounts, Sockets

Captured = Callable[[str], bytes]


def sockets(data: bytes) -> list[InetSocket]:
    found = Sockets()
    found.add(data)
    return found.found


def test_captured_listeners(captured: Captured) -> None:
    v4 = sockets(captured("inet-listen.bin"))
    assert [(one.local_address, one.local_port, one.rqueue, one.wqueue, one.drops, one.v6only) for one in v4] == [
        ("127.0.0.2", 8004, 0, 7, 1, None),
        ("127.0.0.1", 8001, 0, 4, 0, None),
    ]
    v6 = sockets(captured("inet6-listen.bin"))
    assert [(one.local_address, one.local_port, one.rqueue, one.wqueue, one.drops, one.v6only) for one in v6] == [
        ("::1", 8003, 1, 6, 0, True),
        ("::", 8002, 3, 5, 0, False),
    ]
    assert {one.family for one in v4} | {one.state_name for one in v6} == {4, "LISTEN"}


def test_captured_connections(captured: Captured) -> None:
    found = {(one.local_port, one.remote_port): one for one in sockets(captured("inet-all.bin"))}
    half_open = found[8004, 57560]
    assert (half_open.state_name, half_open.inode, half_open.timer_ms) == ("SYN-RECV", 0, 1000)
    assert found[40006, 8001].state_name == "TIME-WAIT"
    assert found[8005, 0].state_name == "UNCONN"
    assert found[8001, 39976].inode == 3013246
    mapped = {one.remote_port: one for one in sockets(captured("inet6-all.bin"))}[41622]
    assert (mapped.local_address, mapped.state_name, mapped.inode) == ("::ffff:127.0.0.1", "CLOSE-WAIT", 0)


@pytest.mark.parametrize("name", ["inet-all.bin", "inet6-listen.bin"])
def test_datagrams_are_kept_as_they_came(captured: Captured, name: str) -> None:
    data, kept = captured(name), inet_diag.Datagrams()
    assert kept.add(memoryview(data)) == Sockets().add(data)
    assert kept.held == [data]


@pytest.mark.parametrize(
    "name", ["inet-all.bin", "inet6-all.bin", "inet-listen.bin", "inet6-info.bin", "inet-info.bin"]
)
def test_census_counts_what_sockets_lists(captured: Captured, name: str) -> None:
    census, listed = SocketCounts(ports=True, peers=True, sources=True), Sockets()
    assert census.add(captured(name)) == listed.add(captured(name))
    assert census.total == len(listed.found)
    assert census.local_ports == {one.local_port for one in listed.found}
    assert sum(census.held.values()) == sum(one.inode != 0 for one in listed.found)
    assert census.by_state() == {
        state: sum(one.state_name == state for one in listed.found)
        for state in {one.state_name for one in listed.found}
    }
    for counted, end in ((census.sources, "local_address"), (census.peers, "remote_address")):
        expected = Counter(getattr(one, end).removeprefix("::ffff:") for one in listed.found)
        assert {inet_diag.plain_address(raw): count for raw, count in (counted or {}).items()} == expected
    assert census.ports == Counter(one.local_port << 8 | one.state for one in listed.found)


def test_census_says_why_it_stopped() -> None:
    done = struct.pack("=IHHIIi", 20, netlink.NLMSG_DONE, netlink.NLM_F_DUMP_INTR, 1, 0, 0)
    assert SocketCounts().add(done) == inet_diag.DumpState(done=True, interrupted=True)
    refused = struct.pack("=IHHIIi", 20, netlink.NLMSG_ERROR, 0, 1, 0, -22) + bytes(16)
    for collector in (SocketCounts(), Sockets()):
        assert collector.add(refused[:20]) == inet_diag.DumpState(done=True, interrupted=False, errno=22)
    overrun = struct.pack("=IHHII", 16, netlink.NLMSG_OVERRUN, 0, 1, 0)
    with pytest.raises(ParseError, match="OVERRUN"):
        SocketCounts().add(overrun)


def test_a_short_socket_is_damage(captured: Captured) -> None:
    short = struct.pack("=IHHII", 16 + 71, inet_diag.SOCK_DIAG_BY_FAMILY, 0, 1, 0) + bytes(72)
    for collector in (SocketCounts(), Sockets()):
        with pytest.raises(ParseError, match="71"):
            collector.add(short)
    alien = bytearray(captured("inet-all.bin"))
    alien[16] = 1
    with pytest.raises(ParseError, match="family 1"):
        Sockets().add(bytes(alien))


def test_old_kernels_have_fewer_words_of_skmeminfo(captured: Captured) -> None:
    one = captured("inet-all.bin")[16 : 16 + 72]
    shorter = one + struct.pack("=HH8I", 4 + 32, 7, *range(8))
    assert inet_diag.parse_socket(shorter, 0, len(shorter)).drops is None
    longer = one + struct.pack("=HH10I", 4 + 40, 7, *range(10))
    assert inet_diag.parse_socket(longer, 0, len(longer)).drops == 8


def run_bytecode(code: bytes, *, sport: int, dport: int, dst: bytes) -> bool:
    """`inet_diag_bc_run` of net/ipv4/inet_diag.c, for the operators in use."""
    left = len(code)
    while left > 0:
        at = len(code) - left
        op, yes, no = struct.unpack_from("=BBH", code, at)
        operand = struct.unpack_from("=BBH", code, at + 4)[2]
        if op == 2:
            holds = sport >= operand
        elif op == 3:
            holds = sport <= operand
        elif op == 4:
            holds = dport >= operand
        elif op == 5:
            holds = dport <= operand
        else:
            family, bits, port = struct.unpack_from("=BBxxi", code, at + 4)
            address = code[at + 12 : at + 12 + bits // 8]
            mapped = family == inet_diag.AF_INET and len(dst) == 16 and dst[:12] == bytes(10) + b"\xff\xff"
            holds = port == -1 and (dst[12:] if mapped else dst) == address
        left -= yes if holds else no
    return left == 0


PORTS = st.integers(0, 65535)
NEAR = st.one_of(st.none(), PORTS)
ADDRESSES = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))


@given(asked=st.tuples(NEAR, NEAR, st.one_of(st.none(), ADDRESSES)), sport=PORTS, dport=PORTS, dst=ADDRESSES)
def test_bytecode_means_what_was_asked(
    asked: tuple[int | None, int | None, bytes | None], sport: int, dport: int, dst: bytes
) -> None:
    local, remote, address = asked
    code = inet_diag.bytecode(local_port=local, remote_port=remote, remote_address=address)
    for one_sport in {sport, local or sport, (local or 0) ^ 1}:
        for one_dport in {dport, remote or dport, (remote or 0) ^ 1}:
            for peer in (dst, address or dst):
                wanted = (
                    local in (None, one_sport) and remote in (None, one_dport) and (address is None or address == peer)
                )
                if len(peer) == 16 and peer[:12] == bytes(10) + b"\xff\xff" and address == peer[12:]:
                    continue
                assert run_bytecode(code, sport=one_sport, dport=one_dport, dst=peer) == wanted


def test_bytecode_matches_mapped_peers() -> None:
    code = inet_diag.bytecode(remote_address=bytes([127, 0, 0, 1]))
    assert run_bytecode(code, sport=1, dport=1, dst=ip_address("::ffff:127.0.0.1").packed)
    assert not run_bytecode(code, sport=1, dport=1, dst=ip_address("::ffff:127.0.0.2").packed)


@given(data=st.binary(min_size=16, max_size=16))
def test_addresses_read_back(data: bytes) -> None:
    assert ip_address(inet_diag.format_address(data)).packed == data


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("0:0::1", "::1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::1"), ("10.0.0.1", "10.0.0.1")],
)
def test_canonical(written: str, canonical: str) -> None:
    assert inet_diag.canonical(written) == canonical


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0", "1.2.3.4.5", "::g"])
def test_not_an_address(text: str) -> None:
    with pytest.raises(ParseError, match="not a literal IP address"):
        inet_diag.canonical(text)


@pytest.mark.parametrize("size", [0, 35, 37])
def test_one_connection_has_36_bytes(size: int) -> None:
    with pytest.raises(ParseError):
        inet_diag.request_one(bytes(size))


def test_the_answer_about_one_connection(captured: Callable[[str], bytes]) -> None:
    one = inet_diag.OneConnection()
    one.add(captured("inet6-info.bin"))
    assert one.seen is not None
    connection, info = one.seen
    assert (connection.state, info.state, info.snd_mss > 500) == (inet_diag.ESTABLISHED, inet_diag.ESTABLISHED, True)
    without = inet_diag.OneConnection()
    without.add(captured("inet-all.bin"))  # sockets, and nothing of TCP_INFO
    assert without.seen is None
