"""cgroup, conntrack, interfaces, tracefs and the small texts: captured, and the cases that matter."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from estab.errors import ParseError
from estab.kernel.formats import (
    cgroup,
    conntrack,
    interfaces,
    neighbours,
    netlink,
    nftables,
    softnet,
    trace_events,
    tracefs,
    words,
)
from estab.records import NeighbourTable, Softnet

Captured = Callable[[str], bytes]


def test_captured_drop_reasons(captured: Captured) -> None:
    names = tracefs.parse_reasons(captured("kfree_skb-format"))
    assert names[2] == "NOT_SPECIFIED"
    assert {"NO_SOCKET", "TCP_LISTEN_OVERFLOW", "NETFILTER_DROP"} <= set(names.values())


def test_captured_events(captured: Captured) -> None:
    events = [tracefs.parse_line(line) for line in captured("trace_pipe").splitlines()]
    found = [event for event in events if event is not None]
    drops = [event for event in found if event.name == "kfree_skb"]
    assert [tracefs.reason_of(event, {}) for event in drops] == ["NO_SOCKET"] * 4
    assert [tracefs.may_be_tcp(event) for event in drops] == [True, True, True, False]
    assert [event.name for event in found].count("tcp_send_reset") == 3
    assert [event.name for event in found].count("tcp_receive_reset") == 3


def test_a_captured_format(captured: Captured) -> None:
    found = trace_events.parse_format(captured("inet_sock_set_state-format"))
    assert found.fields["common_type"] == (0, 2)
    assert found.offsets({"skaddr": 8, "sport": 2, "daddr": 4, "daddr_v6": 16}) == (found.id, 8, 24, 36, 56)


@pytest.mark.parametrize("wanted", [{"skaddr": 4}, {"nothing": 8}, {"daddr": 16}])
def test_an_event_that_is_told_differently(captured: Captured, wanted: dict[str, int]) -> None:
    with pytest.raises(ParseError, match="tells it differently"):
        trace_events.parse_format(captured("inet_sock_set_state-format")).offsets(wanted)


@pytest.mark.parametrize(
    "text", [b"", b"ID: 7\n", b"name: x\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n"]
)
def test_what_is_no_format(text: bytes) -> None:
    with pytest.raises(ParseError, match="no ID, or no field"):
        trace_events.parse_format(text)


def test_events_that_were_lost() -> None:
    stats = b"entries: 5\noverrun: 30\ncommit overrun: 1\nbytes: 260\nnow ts: 3.5\ndropped events: 4\nread events: 9\n"
    assert trace_events.parse_stats(stats) == 35
    with pytest.raises(ParseError, match="no overrun"):
        trace_events.parse_stats(b"entries: 5\n")


@pytest.mark.parametrize(
    ("line", "name", "lost"),
    [
        (b"CPU:1 [LOST 1234 EVENTS]", "", 1234),
        (b" a b-[1]: x-77 [000] d.s2. 1.000001: kfree_skb: reason: TCP_CSUM", "kfree_skb", 0),
        (b" <idle>-0       [001] ..s.  1.000001: tcp_send_reset:", "tcp_send_reset", 0),
    ],
)
def test_odd_lines(line: bytes, name: str, lost: int) -> None:
    event = tracefs.parse_line(line)
    assert event is not None
    assert (event.name, event.lost) == (name, lost)


def test_reasons_printed_as_numbers() -> None:
    def event(reason: str) -> tracefs.Event:
        return tracefs.Event(name="kfree_skb", fields={"reason": reason})

    assert tracefs.reason_of(event("7"), {7: "X"}) == "X"
    assert tracefs.reason_of(event("0x50001"), {}) == "REASON-327681"
    assert tracefs.reason_of(tracefs.Event(name="kfree_skb"), {}) == "NOT_NAMED"
    with pytest.raises(ParseError, match="names no drop reason"):
        tracefs.parse_reasons(b'print fmt: nothing { 09, "X" }')


def test_captured_cgroup(captured: Captured) -> None:
    assert cgroup.v2_path(captured("cgroup")) == "/"
    assert cgroup.v2_mount(captured("mountinfo")) == ("/sys/fs/cgroup/unified", "/")
    assert cgroup.v2_path(b"1:cpu:/x\n") is None
    assert cgroup.v2_mount(rb"1 2 0:3 / /a\040b rw - cgroup2 x rw") == ("/a b", "/")
    assert cgroup.v1_path(captured("cgroup"), "cpu") == "/"
    assert cgroup.v1_path(captured("cgroup"), "memory") == "/app/1"
    assert cgroup.v1_path(b"4:cpu,cpuacct:/x\n0::/y\n", "cpu") == "/x"
    assert cgroup.v1_path(b"4:cpuacct:/x\n0::/y\n", "cpu") is None
    assert cgroup.v1_mount(captured("mountinfo"), "cpu") == ("/sys/fs/cgroup/cpu", "/")
    assert cgroup.v1_mount(b"1 2 0:3 / /a rw - cgroup2 cpu rw,cpu", "cpu") is None


@pytest.mark.parametrize(
    ("text", "stat"),
    [
        (b"nr_periods 50\nnr_throttled 45\nthrottled_time 4000000999\n", (50, 45, 4_000_000)),
        (b"usage_usec 9\nnr_periods 50\nnr_throttled 45\nthrottled_usec 4000000\n", (50, 45, 4_000_000)),
        (b"usage_usec 4767840730\nuser_usec 3953738859\n", None),  # no cpu controller in this group
        (b"", None),
    ],
)
def test_cgroup_throttling(text: bytes, stat: tuple[int, int, int] | None) -> None:
    seen = cgroup.cpu_stat(text)
    assert (None if seen is None else (seen.periods, seen.throttled, seen.throttled_us)) == stat


@pytest.mark.parametrize(
    ("quota", "period", "cores"), [(b"-1\n", b"100000\n", None), (b"20000\n", b"100000\n", 0.2), (b"4\n", b"2\n", 2.0)]
)
def test_cgroup_quota(quota: bytes, period: bytes, cores: float | None) -> None:
    assert cgroup.quota_cores(quota, period) == cores


@pytest.mark.parametrize(("quota", "period"), [(b"1", b"0"), (b"", b"1"), (b"1", b"x")])
def test_no_cgroup_quota(quota: bytes, period: bytes) -> None:
    with pytest.raises(ParseError):
        cgroup.quota_cores(quota, period)


@pytest.mark.parametrize(("text", "value"), [(b"max\n", None), (b"12\n", 12), (b"0", 0)])
def test_cgroup_limit(text: bytes, value: int | None) -> None:
    assert cgroup.limit(text) == value


@pytest.mark.parametrize(("text", "value"), [(b"max 100000\n", None), (b"150000 100000", 1.5)])
def test_cgroup_cpu(text: bytes, value: float | None) -> None:
    assert cgroup.cpu_cores(text) == value


@pytest.mark.parametrize("text", [b"", b"1", b"1 0", b"1 x", b"-1 5", b"1 2 3"])
def test_no_cgroup_cpu(text: bytes) -> None:
    with pytest.raises(ParseError):
        cgroup.cpu_cores(text)


def test_conntrack_is_summed_over_cpus(captured: Captured) -> None:
    assert conntrack.parse_stat(captured("nf_conntrack"))["drop"] == 0
    assert conntrack.parse_stat(captured("nf_conntrack"))["invalid"] == 0
    text = b"entries  drop early_drop\n0000000a 00000001 00000010\n0000000a 00000002 00000001\n"
    assert conntrack.parse_stat(text) == {"entries": 10, "drop": 3, "early_drop": 17}


def test_softnet_is_summed_over_cpus(captured: Captured) -> None:
    lines = captured("softnet_stat").splitlines()
    dropped = sum(int(line.split()[1], 16) for line in lines)
    assert softnet.parse_softnet(captured("softnet_stat")) == Softnet(
        dropped=dropped, squeezed=sum(int(line.split()[2], 16) for line in lines)
    )
    old = b"00000010 00000003 00000001 0 0 0 0 0 0\n00000010 0000000a 00000000 0 0 0 0 0 0\n"
    assert softnet.parse_softnet(old) == Softnet(dropped=13, squeezed=1)


@pytest.mark.parametrize("text", [b"", b"00000001 00000002\n", b"1 x 2\n"])
def test_what_is_no_softnet_stat(text: bytes) -> None:
    with pytest.raises(ParseError):
        softnet.parse_softnet(text)


def test_captured_neighbour_tables(captured: Captured) -> None:
    dump = neighbours.NeighbourTables()
    assert not dump.add(captured("neighbour-tables.bin"))
    assert {table.name for table in dump.tables} == {"arp_cache", "ndisc_cache"}
    assert {table.maximum for table in dump.tables} == {1024}
    assert {table.table_fulls for table in dump.tables} == {0}
    assert all(0 <= table.entries < 1024 for table in dump.tables)


def neighbour_table(fulls: int | None, entries: int = 1024) -> bytes:
    """One message as `neightbl_fill_info` writes it; before Linux 4.3 its statistics end before table_fulls."""
    stats = struct.pack("=10Q", *range(10)) + (b"" if fulls is None else struct.pack("=Q", fulls))
    values = {1: b"arp_cache\0", 4: struct.pack("=I", 1024), 5: struct.pack("=HHI24x", 4, 296, entries), 7: stats}
    body = bytes(4)
    for kind, value in values.items():
        body += struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), 64, 2, 1, 0) + body


@pytest.mark.parametrize("fulls", [None, 0, 7, 1 << 40])
def test_a_table_of_neighbours_that_is_full(fulls: int | None) -> None:
    dump = neighbours.NeighbourTables()
    done = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)
    assert dump.add(neighbour_table(fulls) + done)
    assert dump.tables == [NeighbourTable(name="arp_cache", entries=1024, maximum=1024, table_fulls=fulls)]


def test_neighbours_that_may_not_be_asked_for() -> None:
    with pytest.raises(ParseError, match="errno 1"):
        neighbours.NeighbourTables().add(struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1))


def test_captured_interfaces(captured: Captured) -> None:
    found = interfaces.parse_dev(captured("dev"))
    assert {"lo", "eth0"} <= found.keys()
    assert found["lo"].rx_dropped > 0


def test_ethtool_statistics() -> None:
    names = (
        interfaces.strings_request(2)[:12] + b"bw_in_allowance_exceeded".ljust(32, b"\0") + b"queue".ljust(32, b"\0")
    )
    values = interfaces.stats_request(2)[:8] + struct.pack("=QQ", 3, 2**64 - 1)
    assert interfaces.statistics(names, values) == {"bw_in_allowance_exceeded": 3, "queue": 2**64 - 1}
    with pytest.raises(ParseError, match="do not fit"):
        interfaces.statistics(names[:-1], values)
    assert interfaces.set_size(struct.pack("=IIQI", 0x37, 0, 2, 130)) == 130
    assert interfaces.set_size(struct.pack("=IIQI", 0x37, 0, 0, 130)) == 0


def test_nftables() -> None:
    rule = netlink.HEADER.pack(20, 10 << 8 | 6, 0, 1, 0) + bytes(4)
    done = netlink.HEADER.pack(20, netlink.NLMSG_DONE, 0, 1, 0) + bytes(4)
    refused = netlink.HEADER.pack(20, netlink.NLMSG_ERROR, 0, 1, 0) + struct.pack("=i", -1)
    assert nftables.first_answer(rule + done) == (True, 0)
    assert nftables.first_answer(done) == (False, 0)
    assert nftables.first_answer(refused) == (False, 1)


def test_memory(captured: Captured) -> None:
    assert words.memory_available_bytes(captured("meminfo")) % 1024 == 0
    with pytest.raises(ParseError, match="MemAvailable"):
        words.memory_available_bytes(b"MemTotal: 1 kB\n")
