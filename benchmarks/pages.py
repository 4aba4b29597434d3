"""What was measured as Markdown, and where it stands in docs/speed.md. Pure: records in, text out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.matrix import CASES, CONNECTIONS, SIZES
from benchmarks.stalls import PERCENTILES, RATE, expected_ms
from benchmarks.table import number

Records = Mapping[str, Mapping[str, Any]]  # by the row's name, as Result.record() gives them


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns but the first to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put(page: str, name: str, text: str) -> str:
    """`page` with what stands between the markers of `name` replaced. ValueError where they are missing."""
    pattern = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- /measured -->)", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"docs/speed.md has no '<!-- measured: {name} -->' … '<!-- /measured -->'")
    return pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)


def _spread(record: Mapping[str, Any] | None) -> str:
    if record is None or record["spread"] is None:
        return "not measured"
    found = record["spread"]
    return f"{found['least']:.2f} · **{found['median']:.2f}** · {found['most']:.2f}"


def peers(records: Records) -> str:
    """Everything that has a peer, but the matrix."""
    rows = [
        [record["title"], record["peer_name"], *_middles(record), _spread(record), str(len(record["own"]))]
        for name, record in _in_order(records)
        if record["peer_name"] and not name.startswith(("rr-", "unix-", "watch")) and record["spread"]
    ]
    return table(["what", "peer", "estab", "peer's", "least · median · most", "pairs"], rows)


def _in_order(records: Records) -> list[tuple[str, Mapping[str, Any]]]:
    """As the cases stand in their table, whenever each was measured."""
    names = [row.name for case in CASES for row in case.rows]
    return [(name, records[name]) for name in names if name in records]


def _middles(record: Mapping[str, Any]) -> list[str]:
    ordered = [sorted(record[who]) for who in ("own", "peer")]
    return [f"{number(values[len(values) // 2])} {record['unit']}" if values else "-" for values in ordered]


def matrix(records: Records) -> str:
    """Ratios against neper's tcp_rr: connections down, sizes across."""
    rows = [[f"{count:,}", *(_spread(records.get(f"rr-{count}x{size}")) for size in SIZES)] for count in CONNECTIONS]
    return table(["connections", *(f"{size:,} bytes" for size in SIZES)], rows)


def one_process_each(records: Records) -> str:
    """Peers that wait in recv(), a process a connection."""
    rows = [
        [record["title"], record["peer_name"], *_middles(record), _spread(record)]
        for name, record in _in_order(records)
        if name.endswith(("-netperf", "-sockperf"))
    ]
    return table(["what", "peer", "estab", "peer's", "least · median · most"], rows)


def unix_sockets(records: Records) -> str:
    """The same load at a UNIX socket and over TCP."""
    rows = []
    for row in (row for case in CASES for row in case.rows if row.name.startswith("unix-")):
        record = records.get(row.name, {"own": [], "peer": [], "unit": row.unit, "spread": None})
        rows.append([row.title, *_middles(record), _spread(record), str(len(record["own"]))])
    return table(["what", "UNIX", "TCP", "least · median · most", "pairs"], rows)


def watching(records: Records) -> str:
    """What observation costs."""
    compared = ("watch", "watch-churn", "run-sampled", "run-traced")
    rows = [[records[name]["title"], _spread(records[name])] for name in compared if name in records]
    for name in ("watch-in-turn-rr", "watch-in-turn-churn"):
        ratio = records.get(name)
        if ratio and ratio["own"]:
            rows.append([ratio["title"], _spread(ratio)])
    for name in ("watch-steady", "run-cost-sampled", "run-cost-traced"):
        cost = records.get(name)
        if cost and cost["own"]:
            rows.append([f"{cost['title']}: share of a core", f"{100 * cost['spread']['median']:.2f}%"])
    return table(["what", "watched to not watched: least · median · most"], rows)


def growth(points: Sequence[Mapping[str, float | None]]) -> str:
    """One line a number of connections."""
    head = [
        "connections",
        "connects/s",
        "CPU a request, client",
        "server",
        "own memory, client",
        "server",
        "kernel, both ends",
        "census",
        "`ss -tan`",
        "ratio",
    ]
    return table(head, [_point(point) for point in points])


def _point(point: Mapping[str, float | None]) -> list[str]:
    census, ss = point.get("census_s"), point.get("ss_s")
    return [
        _or_dash(point["connections"], "", 1),
        _or_dash(point.get("connects_a_second"), "", 1),
        *(_or_dash(point.get(f"cpu_us_{end}"), " µs", 1) for end in ("client", "server")),
        *(_or_dash(point.get(f"{what}_bytes"), " B", 1) for what in ("client", "server", "kernel")),
        *(_or_dash(took, " ms", 1000) for took in (census, ss)),
        f"{ss / census:.1f}" if census and ss else "-",
    ]


def _or_dash(value: float | None, unit: str, factor: float) -> str:
    return (
        "-"
        if value is None
        else f"{value * factor:,.0f}{unit}"
        if value * factor >= 100 or not unit
        else (f"{value * factor:.1f}{unit}")
    )


def profile(profiles: Mapping[str, Mapping[str, float]]) -> str:
    """Two tables: the shares by program, then the kernel's greatest functions."""
    loads = list(profiles)
    places = ("kernel", "engine", "libc", "vdso", "Python", "rest")
    shares = [[place, *(f"{100 * profiles[load].get(f'in {place}', 0):.1f}%" for load in loads)] for place in places]
    longest = max(len(_functions(found)) for found in profiles.values())
    ranks = [[str(nth + 1), *(_nth(_functions(profiles[load]), nth) for load in loads)] for nth in range(longest)]
    return table(["time in", *loads], shares) + "\n\n" + table(["kernel function", *loads], ranks)


def _functions(found: Mapping[str, float]) -> list[str]:
    return [f"`{name[3:]}` {100 * share:.1f}%" for name, share in found.items() if name.startswith("fn ")]


def _nth(names: Sequence[str], nth: int) -> str:
    return names[nth] if nth < len(names) else ""


def stalls(found: Mapping[str, Mapping[str, float]]) -> str:
    """What arithmetic says of the server's pauses, beside what both loops measured."""
    rows = [
        [
            "max" if one == 100 else f"p{one:g}",
            f"{expected_ms(one):,.0f} ms",
            *(f"{found[mode][f'p{one:g}']:,.2f} ms" for mode in ("rate", "rr")),
        ]
        for one in PERCENTILES
    ]
    counts = ["requests", "", *(f"{found[mode]['requests']:,.0f}" for mode in ("rate", "rr"))]
    return table(
        ["", "arithmetic", f"open loop, `--mode rate --rate {RATE}`", "closed loop, `--mode rr`"], [*rows, counts]
    )
