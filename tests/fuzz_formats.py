"""Mutated captures through every parser of `kernel.formats`: `python tests/fuzz_formats.py [N] [SEED]`, by hand.

N (default 10,000) for each family of parsers. Only ParseError may be raised; a call that takes over a second counts as
a hang. Prints how many were run, and the first bytes that did anything else, as a Python literal.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from estab.errors import ParseError
from estab.kernel.formats import (
    cgroup,
    conntrack,
    icmp_error,
    inet_diag,
    interfaces,
    neighbours,
    netlink,
    nftables,
    proc_net,
    proc_pid,
    softnet,
    sysctl,
    tcp_info,
    trace_events,
    tracefs,
    unix_diag,
    words,
)
from estab.observe.fast_census import EngineCensus, EngineEstablished

Parser = Callable[[bytes], object]
CAPTURES = [path for path in sorted((Path(__file__).parent / "data").glob("[0-9]*/*"))]


def _walk(data: bytes) -> object:
    return [netlink.error_number(data, message) for message in netlink.messages(data)]


def _statistics(data: bytes) -> object:
    half = len(data) // 2
    return interfaces.statistics(data[:half], data[half:])


def _tcp_info(data: bytes) -> object:
    info = tcp_info.parse(data)
    return info, info.outstanding_ms


def _some_counters(data: bytes) -> object:
    return proc_net.pick_counters(data, frozenset({"TcpExt.ListenOverflows", "Tcp.CurrEstab"}))


def _trace(data: bytes) -> object:
    events = [tracefs.parse_line(line) for line in data.split(b"\n", 1)[:1]]
    return [(tracefs.reason_of(event, {2: "X"}), tracefs.may_be_tcp(event)) for event in events if event]


FAMILIES: dict[str, tuple[str, dict[str, Parser]]] = {
    "sock_diag": (
        "inet*.bin",
        {
            "messages": _walk,
            "attributes": lambda data: list(netlink.attributes(data, 0, len(data))),
            "sockets": lambda data: inet_diag.Sockets().add(data),
            "datagrams": lambda data: inet_diag.Datagrams().add(data),
            "socket": lambda data: inet_diag.parse_socket(data, 0, len(data)),
            "census": lambda data: inet_diag.SocketCounts(ports=True, peers=True, sources=True).add(data),
            "engine census": lambda data: EngineCensus(ports=True, peers=True, sources=True).add(data),
            "established": lambda data: inet_diag.Established(at_server=True).add(data),
            "engine established": lambda data: EngineEstablished(at_server=False).add(data),
            "peer's connections": lambda data: inet_diag.PeerConnections().add(data),
            "one connection": lambda data: inet_diag.OneConnection().add(data),
            "unpacked": lambda data: inet_diag.pack_connection(inet_diag.unpack_connection(data[:36])),
        },
    ),
    "tcp_info": ("tcp-info.bin", {"info": _tcp_info}),
    "icmp_error": ("icmp*-error.bin", {"error": icmp_error.parse}),
    "unix_diag": (
        "unix*.bin",
        {
            "UNIX sockets": lambda data: unix_diag.UnixSockets().add(data),
            "UNIX socket": lambda data: unix_diag.parse_socket(data, 0, len(data)),
            "name": unix_diag.name_text,
        },
    ),
    "nftables": ("inet*-info.bin", {"first answer": nftables.first_answer}),
    "counters": ("[ns][en][tm][ps]*[tp]", {"counters": proc_net.parse_counters, "some": _some_counters}),
    "snmp6": ("snmp6", {"snmp6": proc_net.parse_snmp6}),
    "sockstat": ("sockstat*", {"sockstat": proc_net.parse_sockstat}),
    "processes": (
        "[ls]*t*",
        {
            "open files": proc_pid.parse_open_files,
            "most tasks": proc_pid.parse_most_tasks,
            "status": proc_pid.parse_status,
            "all tasks": proc_pid.parse_all_tasks,
            "stat": lambda data: proc_pid.parse_stat(data, 100),
            "schedstat": proc_pid.parse_schedstat,
        },
    ),
    "sysctl": (
        "sockstat*",
        {
            "value": sysctl.parse_value,
            "reserved": lambda data: sysctl.reserved_ports(sysctl.parse_value(data)),
            "usable": lambda data: sysctl.usable_ports(sysctl.parse_value(data), sysctl.parse_value(data)),
            "canonical": lambda data: inet_diag.canonical(data.decode("latin1")),
        },
    ),
    "cgroup": (
        "[cm][go]*",
        {
            "path": cgroup.v2_path,
            "mount": cgroup.v2_mount,
            "limit": cgroup.limit,
            "cpu": cgroup.cpu_cores,
            "cpu.stat": cgroup.cpu_stat,
        },
    ),
    "conntrack": ("nf_conntrack", {"stat": conntrack.parse_stat}),
    "softnet": ("softnet_stat", {"stat": softnet.parse_softnet}),
    "neighbours": ("neighbour-tables.bin", {"tables": lambda data: neighbours.NeighbourTables().add(data)}),
    "interfaces": (
        "dev",
        {
            "dev": interfaces.parse_dev,
            "driver": interfaces.driver,
            "set": interfaces.set_size,
            "statistics": _statistics,
        },
    ),
    "words": (
        "meminfo",
        {
            "memory": words.memory_available_bytes,
            "text": words.text,
            "decimal": words.decimal,
            "hexadecimal": words.hexadecimal,
        },
    ),
    "tracefs": (
        "[tki]*",
        {
            "line": _trace,
            "reasons": tracefs.parse_reasons,
            "format": trace_events.parse_format,
            "stats": trace_events.parse_stats,
        },
    ),
}
PARSERS: dict[str, Parser] = {
    f"{family}: {name}": parser for family, (_, parsers) in FAMILIES.items() for name, parser in parsers.items()
}
_NUMBERS = (b"0", b"-1", b"9" * 30, b"0x10", b"max", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xd9\xa3", b"1_0", b" ", b"\n")


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, a piece cut, repeated or replaced by what parsers stumble over."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(out)) if out else 0
        match chance.randrange(6):
            case 0 | 1:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                del out[at : at + chance.randint(1, 40)]
            case 3:
                out[at:at] = out[at : at + chance.randint(1, 80)]
            case 4:
                number = chance.choice(_NUMBERS)
                out[at : at + len(number)] = number
            case _:
                del out[at:]
    return bytes(out)


def short(data: bytes, chance: random.Random, most: int = 2000) -> bytes:
    """The whole capture, or, where it is long, most often a piece of it that starts with a line or at the start."""
    if len(data) <= most:
        return data
    starts = [0, *(at + 1 for at in range(len(data)) if data[at : at + 1] == b"\n")] if b"\n" in data else [0]
    start = chance.choice(starts)
    return data[start : start + most]


def fuzz(family: str, count: int, seed: int) -> tuple[int, int, list[str]]:
    """How many were run, how many of them were refused with ParseError, and what else happened."""
    pattern, parsers = FAMILIES[family]
    chance = random.Random(f"{family} {seed}")
    sources = [path.read_bytes() for path in CAPTURES if path.match(pattern)]
    assert sources, f"no capture for {family}"
    refused, faults = 0, []
    pieces = [short(data, chance) for data in sources for _ in range(20)]
    for number, (name, parser) in zip(range(count), cycle(parsers.items()), strict=False):
        data = mutate(pieces[number // len(parsers) % len(pieces)], chance)
        began = time.perf_counter()
        try:
            parser(data)
        except ParseError as error:
            refused += 1
            if "\n" in str(error) or not (error.offset is None or 0 <= error.offset <= len(data)):
                faults.append(f"{family}: {name}: message {error!r} at {error.offset} for {data!r}")
        except Exception as error:
            faults.append(f"{family}: {name}: {type(error).__name__}: {error}: {data!r}")
        if time.perf_counter() - began > 1:
            faults.append(f"{family}: {name}: took over a second for {data!r}")
    return count, refused, faults


def main(arguments: Sequence[str]) -> int:
    """Run all families. Returns 1 where anything else than ParseError was raised."""
    count = int(arguments[0]) if arguments else 10_000
    seed = int(arguments[1]) if len(arguments) > 1 else time.time_ns()
    families = arguments[2:] or list(FAMILIES)
    total, failed = 0, 0
    print(f"seed {seed}", flush=True)
    for family in families:
        run, refused, faults = fuzz(family, count, seed)
        total += run
        failed += len(faults)
        print(f"{family}: {run:,} run, {refused:,} refused with ParseError, {len(faults)} other", flush=True)
        for fault in faults[:5]:
            print(f"  {fault[:600]}", flush=True)
    print(f"{total:,} mutated captures in all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
