"""The texts of /proc: proc_net, proc_pid, sysctl."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import ParseError
from estab.kernel.formats import proc_net, proc_pid, sysctl

Captured = Callable[[str], bytes]


def test_captured_counters(captured: Captured) -> None:
    netstat = proc_net.parse_counters(captured("netstat"))
    assert netstat["TcpExt.ListenOverflows"] == 0
    assert "IpExt.InOctets" in netstat
    snmp = proc_net.parse_counters(captured("snmp"))
    assert snmp["Tcp.MaxConn"] == -1
    assert snmp["Tcp.ActiveOpens"] > 0
    snmp6 = proc_net.parse_snmp6(captured("snmp6"))
    assert {"Ip6.OutNoRoutes", "Icmp6.InDestUnreachs", "Icmp6.OutDestUnreachs"} <= set(snmp6)
    assert not any("Udp" in name for name in snmp6)
    assert proc_net.parse_sockstat(captured("sockstat"))["TCP.tw"] == 3
    assert "TCP6.inuse" in proc_net.parse_sockstat(captured("sockstat6"))


@pytest.mark.parametrize(
    ("data", "says", "offset"),
    [
        (b"Tcp: A B\n", "names without values", 0),
        (b"Tcp: A B\nTcp: 1\n", "2 names of 'Tcp', 1 values", 9),
        (b"Tcp: A\nUdp: 1\n", "of 'Udp'", 7),
        (b"Tcp: A\nTcp: x\n", "not an integer", 7),
        (b"Tcp A\nTcp: 1\n", "no prefix", 0),
        (b"Tcp: \xff\nTcp: 1\n", "not ASCII", 5),
    ],
)
def test_damaged_counters(data: bytes, says: str, offset: int) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        proc_net.parse_counters(data)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("data", "says", "offset"),
    [
        (b"Ip6InReceives 1\nIp6InHdrErrors\n", "not a name and a number", 16),
        (b"Ip6InReceives 1 2\n", "not a name and a number", 0),
        (b"Icmp6InMsgs \xff\n", "not an integer", 0),
    ],
)
def test_damaged_snmp6(data: bytes, says: str, offset: int) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        proc_net.parse_snmp6(data)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("data", "says"), [(b"TCP: inuse\n", "without a value"), (b"TCP: inuse x\n", "not an integer")]
)
def test_damaged_sockstat(data: bytes, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        proc_net.parse_sockstat(data)


NAMES = st.text(alphabet="ABCabc019", min_size=1, max_size=8)


@given(
    st.dictionaries(
        NAMES, st.dictionaries(NAMES, st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=5), min_size=1, max_size=4
    )
)
def test_counters_read_back(tables: dict[str, dict[str, int]]) -> None:
    text = "".join(
        f"{prefix}: {' '.join(table)}\n{prefix}: {' '.join(map(str, table.values()))}\n"
        for prefix, table in tables.items()
    )
    expected = {f"{prefix}.{name}": value for prefix, table in tables.items() for name, value in table.items()}
    assert proc_net.parse_counters(text.encode()) == expected
    some = frozenset(list(expected)[::2])
    assert proc_net.pick_counters(text.encode(), some) == {name: expected[name] for name in some}


def test_captured_counters_that_are_picked(captured: Captured) -> None:
    for file, name in (("netstat", "TcpExt.ListenOverflows"), ("snmp", "Tcp.MaxConn")):
        picked = proc_net.pick_counters(captured(file), frozenset({name, "Tcp.NotThere"}))
        assert picked == {name: proc_net.parse_counters(captured(file))[name]}


@pytest.mark.parametrize("values", [b"", b"Tcp: 1", b"Tcp: 1 x"])
def test_damaged_counters_are_not_picked(values: bytes) -> None:
    with pytest.raises(ParseError, match="no value of each name"):
        proc_net.pick_counters(b"Tcp: A B\n" + values + b"\n", frozenset({"Tcp.B"}))


@pytest.mark.parametrize(
    ("line", "soft", "hard"),
    [
        (b"Max open files            1024                 524288               files     \n", 1024, 524288),
        (b"x\nMax open files            20000                unlimited            files     \nMax y", 20000, None),
    ],
)
def test_open_files(line: bytes, soft: int, hard: int | None) -> None:
    assert proc_pid.parse_open_files(line) == proc_pid.OpenFiles(soft=soft, hard=hard)


@pytest.mark.parametrize(("soft", "most"), [(b"127", 127), (b"unlimited", None)])
def test_most_tasks(soft: bytes, most: int | None) -> None:
    line = b"Max processes             " + soft + b"                unlimited            processes \n"
    assert proc_pid.parse_most_tasks(b"Max open files 1 1 files\n" + line) == most


def test_status() -> None:
    text = b"Name:\tpostgres\nUmask:\t0077\nUid:\t112\t113\t112\t112\nThreads:\t3\nCapEff:\t0000000001000000\n"
    assert proc_pid.parse_status(text) == proc_pid.TaskStatus(uid=112, threads=3, capabilities=1 << 24)


@pytest.mark.parametrize("line", [b"Uid:\t0\t0\t0\t0\n", b"Threads:\t1\n", b"CapEff:\t00\n"])
def test_status_without_a_line_or_with_a_damaged_one(line: bytes) -> None:
    whole = b"Uid:\t0\t0\t0\t0\nThreads:\t1\nCapEff:\t00\n"
    for damaged in (b"", line.split(b"\t")[0] + b"\n", line.split(b"\t")[0] + b"\tmany\n"):
        with pytest.raises(ParseError):
            proc_pid.parse_status(whole.replace(line, damaged))


def test_all_tasks() -> None:
    assert proc_pid.parse_all_tasks(b"0.20 0.18 0.12 1/80 11206\n") == 80
    for damaged in (b"", b"0.20 0.18 0.12 80 11206", b"0.20 0.18 0.12 1/x 11206"):
        with pytest.raises(ParseError):
            proc_pid.parse_all_tasks(damaged)


def test_captured_process(captured: Captured) -> None:
    assert proc_pid.parse_most_tasks(captured("limits")) is not None
    assert proc_pid.parse_open_files(captured("limits")) == proc_pid.OpenFiles(soft=20000, hard=20000)
    stat = proc_pid.parse_stat(captured("stat"), 100)
    assert stat.state == "R"
    assert (stat.pid, stat.name, stat.cpu_s, stat.rss_pages) == (10730, "python", 0.04, 3969)


@pytest.mark.parametrize("name", ["a b", "a) R (b", "((", "))", "", ") S 1 2 3"])
def test_names_with_spaces_and_parentheses(captured: Captured, name: str) -> None:
    text = captured("stat").replace(b"(python)", b"(" + name.encode() + b")")
    assert proc_pid.parse_stat(text, 100).name == name
    assert proc_pid.parse_stat(text, 100).rss_pages == 3969


@pytest.mark.parametrize(
    ("data", "ticks", "says"),
    [
        (b"1 python R", 100, "no name in parentheses"),
        (b"1 (a) R 1", 100, "2 fields behind the name"),
        (b"1 (a) R" + b" x" * 30, 100, "not an integer"),
        (b"1 (a) R" + b" 1" * 30, 0, "0 ticks"),
    ],
)
def test_damaged_stat(data: bytes, ticks: int, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        proc_pid.parse_stat(data, ticks)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"4096\n", [4096]),
        (b"32768\t60999\n", [32768, 60999]),
        (b"-1\n", [-1]),
        (b"cubic\n", "cubic"),
        (b"\n", ""),
        (b"8080,9000-9010\n", "8080,9000-9010"),
        (b"1_000\n", "1_000"),
    ],
)
def test_sysctl_values(data: bytes, value: list[int] | str) -> None:
    assert sysctl.parse_value(data) == value


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        ("", []),
        ([8080], [(8080, 8080)]),
        ("9000-9010,8080", [(8080, 8080), (9000, 9010)]),
        ("65535", [(65535, 65535)]),
    ],
)
def test_reserved_ports(value: list[int] | str, ranges: list[tuple[int, int]]) -> None:
    assert sysctl.reserved_ports(value) == ranges


@pytest.mark.parametrize("value", ["8080-", "-5", "9-8", "65536", "a", ",", [-1], "1-2-3"])
def test_no_reserved_ports(value: list[int] | str) -> None:
    with pytest.raises(ParseError, match="reserved ports"):
        sysctl.reserved_ports(value)


@pytest.mark.parametrize(
    ("port_range", "reserved", "ports"),
    [
        ([32768, 60999], "", 28232),
        ([1000, 1000], "", 1),
        ([1000, 1009], [1005], 9),
        ([1000, 1009], "900-1001,1001-1002,1009-1100", 6),
        ([1000, 1009], "1-65535", 0),
        ([1000, 1009], "1010,999", 10),
    ],
)
def test_usable_ports(port_range: list[int], reserved: list[int] | str, ports: int) -> None:
    assert sysctl.usable_ports(port_range, reserved) == ports


@pytest.mark.parametrize("port_range", ["x", [1], [2, 1], [0, 70000], [1, 2, 3]])
def test_no_port_range(port_range: list[int] | str) -> None:
    with pytest.raises(ParseError, match="port range"):
        sysctl.usable_ports(port_range)


def test_schedstat() -> None:
    assert proc_pid.parse_schedstat(b"154343493 1827793753 412\n") == proc_pid.SchedStat(
        ran_ns=154_343_493, waited_ns=1_827_793_753
    )


@pytest.mark.parametrize("data", [b"", b"1 2\n", b"1 2 3 4\n", b"a b c\n"])
def test_no_schedstat(data: bytes) -> None:
    with pytest.raises(ParseError):
        proc_pid.parse_schedstat(data)
