"""What is measured against what, and what is aimed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.ratios import Better

HOLD_CONNECTIONS = 18_000  # as many as one process with 20,000 descriptors can hold
TCPKALI_CONNECTIONS = 5_000  # it wants twice as many descriptors, and gets slow
CLASSIC_PORTS = "1024 65000"  # what a user set net.ipv4.ip_local_port_range to

NEPER = "make tcp_rr tcp_crr tcp_stream in a clone of github.com/google/neper, then name the directory with --peers"
NETPERF = "build netperf and netserver of github.com/HewlettPackard/netperf, then name the directory with --peers"
GO = (
    "write a server and a client in Go as docs/speed.md describes the pair, go build -o {names}, "
    "then name the directory with --peers"
)
HOW_BUILT: Mapping[str, str] = {
    "ss": "apt install iproute2",
    "tcp_rr": NEPER,
    "tcp_crr": NEPER,
    "tcp_stream": NEPER,
    "netperf": NETPERF,
    "netserver": NETPERF,
    "sockperf": "apt install sockperf",
    "stdbuf": "apt install coreutils",
    "wrk": "apt install wrk",
    "nginx": "apt install nginx",
    "tcpkali": "build github.com/machinezone/tcpkali (its sys/sysctl.h can be an empty file), then name its directory "
    "with --peers",
    **dict.fromkeys(("report000-server", "report000-bench"), GO.format(names="report000-server / report000-bench")),
    **dict.fromkeys(("report001-server", "report001-client"), GO.format(names="report001-server / report001-client")),
}

Options = Mapping[str, str | int]


@dataclass(frozen=True)
class Ask:
    """One measurement: the name of a function in measure.py and its options."""

    what: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of the table. Its figure is what a measurement returned by that name.

    `target` is of the ratio, or, in a case without peer, of the figure itself. None: nothing was promised.
    """

    name: str
    title: str
    unit: str
    figure: str
    better: Better = "higher"
    target: float | None = None


@dataclass(frozen=True)
class Case:
    """Two measurements that take turns, and the lines that they fill. `peer` None: estab alone, in figures."""

    name: str
    rows: tuple[Row, ...]
    own: Ask
    peer: Ask | None
    peer_name: str = ""
    programs: tuple[str, ...] = ()
    note: str | None = None


def _one(name: str, title: str, unit: str, better: Better, target: float | None) -> tuple[Row, ...]:
    return (Row(name, title, unit, "rate" if better == "higher" else "seconds", better, target),)


def _hold(name: str, title: str, target: float | None, note: str, **options: str) -> Case:
    return Case(
        name,
        _one(name, title, "s", "lower", target),
        Ask("own_hold", {"connections": HOLD_CONNECTIONS, **options}),
        Ask(
            "go_hold",
            {"connections": HOLD_CONNECTIONS, **{k: v for k, v in options.items() if k == "port_range"}},
        ),
        "Go pair that holds",
        ("report001-server", "report001-client"),
        note,
    )


BASIC = (
    Case(
        "rr",
        _one("rr", "100 connections of 64 bytes, one request in flight each", "/s", "higher", 1.10),
        Ask("own_bench", {"mode": "rr", "size": 64}),
        Ask("neper", {"program": "tcp_rr", "size": 64}),
        "neper tcp_rr",
        ("tcp_rr",),
    ),
    Case(
        "churn",
        _one("churn", "connect, 1 byte, answer, close by RST; 100 in flight", "/s", "higher", 1.0),
        Ask("own_churn", {"close": "rst"}),
        Ask("neper", {"program": "tcp_crr", "size": 1}),
        "neper tcp_crr",
        ("tcp_crr",),
    ),
    Case(
        "churn-fin",
        _one("churn-fin", "connect, 1 byte, answer, close by FIN (TIME_WAIT at the client)", "/s", "higher", 1.0),
        Ask("own_churn", {"close": "fin"}),
        Ask("neper", {"program": "tcp_crr", "size": 1, "time_wait": 1}),
        "neper tcp_crr --time-wait",
        ("tcp_crr",),
        "each uses one source address, and the kernel gives a port back after 1 s of TIME_WAIT (tcp_tw_reuse): its "
        "port search is most of what is measured",
    ),
    Case(
        "flood",
        _one("flood", "100 connections of 1,400 bytes, written without waiting", "/s", "higher", 1.3),
        Ask("own_bench", {"mode": "flood", "size": 1400}),
        Ask("go_flood"),
        "Go pair that benches",
        ("report000-server", "report000-bench"),
        "estab verifies every byte that comes back, the peer counts them",
    ),
    Case(
        "stream",
        (Row("stream", "100 connections of 65,536 bytes, written without waiting", "MB/s", "megabytes"),),
        Ask("own_bench", {"mode": "flood", "size": 65536}),
        Ask("neper_stream"),
        "neper tcp_stream -r -w",
        ("tcp_stream",),
        "the nearest shape there is: estab's server sends back what came and estab verifies it; the peer's ends both "
        "write what they like and drop what they read",
    ),
    *(
        Case(
            f"http-{size}",
            _one(f"http-{size}", f"nginx asked by one process, replies of {size:,} bytes", "/s", "higher", 0.95),
            Ask("own_http", {"reply_bytes": size}),
            Ask("wrk", {"reply_bytes": size}),
            "wrk -t1",
            ("wrk", "nginx"),
            "50 connections that are kept; one worker of nginx serves either, and shares the machine with its client",
        )
        for size in (100, 10_000)
    ),
    Case(
        "churn-one",
        _one("churn-one", "one connection after the other, both ends on one core", "/s", "higher", 1.0),
        Ask("own_churn", {"close": "fin", "connections": 1, "cores": 1, "port_range": CLASSIC_PORTS}),
        Ask("netperf", {"test": "TCP_CRR", "size": 1, "cores": 1, "port_range": CLASSIC_PORTS}),
        "netperf TCP_CRR",
        ("netperf", "netserver"),
        "netperf binds each port itself, out of 5000-65535 whatever the range; so estab gets a range as wide",
    ),
    _hold(
        "hold",
        "open 18,000 connections and close them all",
        3.0,
        "from the first connect to the last close, process start excluded for both; in estab's are the up to 0.1 s "
        "until it notices that all are open. It takes more loopback source addresses by itself; the peer has one",
    ),
    _hold(
        "hold-one-source",
        "open and close 18,000, estab kept to one source address as well",
        None,
        "beyond half the port range connect() searches ever longer for a port; that search is what is measured",
        source="127.0.0.1",
    ),
    _hold(
        "hold-wide-range",
        f"open and close 18,000, ports {CLASSIC_PORTS.replace(' ', '-')} as a user set them",
        None,
        "ip_local_port_range is widened in the measurement's own namespace, for both; estab chooses its own sources",
        port_range=CLASSIC_PORTS,
    ),
    Case(
        "hold-tcpkali",
        _one("hold-tcpkali", f"open {TCPKALI_CONNECTIONS:,} connections", "s", "lower", 1.0),
        Ask("own_hold", {"connections": TCPKALI_CONNECTIONS}),
        Ask("tcpkali_hold", {"connections": TCPKALI_CONNECTIONS}),
        "tcpkali -c",
        ("tcpkali", "stdbuf"),
        "estab's time includes closing them all, tcpkali's does not",
    ),
    Case(
        "hold-memory",
        (
            Row("memory-client", "own memory a connection, client workers", "bytes", "client_bytes", "lower", 200),
            Row("memory-server", "own memory a connection, server workers", "bytes", "server_bytes", "lower", 200),
        ),
        Ask("own_memory", {"connections": HOLD_CONNECTIONS}),
        None,
        note="RSS of the worker processes at 18,000 settled connections, less that at one, divided by connections",
    ),
    *(
        Case(
            f"unix-{workload}",
            _one(f"unix-{workload}", title, "/s", "higher", None),
            Ask("own_echo", {"at": "unix", "workload": workload, "size": size}),
            Ask("own_echo", {"at": "tcp", "workload": workload, "size": size}),
            "the same over TCP",
            note="both ends are estab's; the peer is itself on loopback",
        )
        for workload, size, title in (
            ("rr", 64, "100 connections of 64 bytes at a UNIX socket, one request in flight each"),
            ("flood", 65_536, "100 connections of 65,536 bytes at a UNIX socket, written without waiting"),
            ("churn", 1, "connect to a UNIX socket, 1 byte, answer, close (TCP: by RST)"),
        )
    ),
    Case(
        "watch",
        _one("watch", "rr as above, all that a run watches included", "/s", "higher", None),
        Ask("own_watch", {"workload": "rr", "size": 64, "watched": 1}),
        Ask("own_watch", {"workload": "rr", "size": 64, "watched": 0}),
        "the same not watched",
        note="the peer is estab itself in the same process layout, without snapshots, samples, counters or progress",
    ),
    Case(
        "watch-churn",
        _one("watch-churn", "churn by FIN as above, all that a run watches included", "/s", "higher", None),
        Ask("own_watch", {"workload": "churn", "size": 1, "watched": 1}),
        Ask("own_watch", {"workload": "churn", "size": 1, "watched": 0}),
        "the same not watched",
    ),
    *(
        Case(
            f"watch-in-turn-{workload}",
            (
                Row(
                    f"watch-in-turn-{workload}",
                    f"{workload} watched in every other half second",
                    "x",
                    "ratio",
                    "higher",
                    t,
                ),
            ),
            Ask("own_watch_in_turn", {"workload": workload, "size": size}),
            None,
            note="the rate in a half second that is watched to its two neighbours: the median of a run of 30 s",
        )
        for workload, size, t in (("rr", 64, 0.98), ("churn", 1, 0.97))
    ),
    *(
        Case(
            f"run-{seen}",
            _one(f"run-{seen}", f"churn by RST as a command of estab run, {seen}", "/s", "higher", None),
            Ask("own_run", {"seen": seen}),
            Ask("own_run", {"seen": "bare"}),
            "the same by itself",
            note="a new interpreter, its start not counted; the peer is estab churn from the command line",
        )
        for seen in ("sampled", "traced")
    ),
    *(
        Case(
            f"run-cost-{seen}",
            (Row(f"run-cost-{seen}", f"{seen}, beside 1,000 connects a second", "cores", "fraction", "lower"),),
            Ask("own_run_cost", {"seen": seen}),
            None,
            note="CPU time of estab run and of its tracing process as a share of one core, from 1.5 s on",
        )
        for seen in ("sampled", "traced")
    ),
    Case(
        "census",
        _one("census", "count 36,000 open sockets by state, port and peer", "s", "lower", 3.0),
        Ask("own_census", {"count": HOLD_CONNECTIONS}),
        Ask("ss", {"count": HOLD_CONNECTIONS}),
        "ss -tan",
        ("ss",),
        "the least of nine each; nearly all of estab's is the kernel's own dump, which ss asks for as well",
    ),
    Case(
        "watch-steady",
        (Row("watch-steady", "ten samples a second beside 36,000 open sockets", "cores", "fraction", "lower", 0.01),),
        Ask("own_steady_watch", {"count": HOLD_CONNECTIONS}),
        None,
        note="CPU time of the process that watches, as a share of one core, over 30 s",
    ),
)
