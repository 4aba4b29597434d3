"""What stands around the table, as styled text: totals, rates, ports, conntrack, the verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from estab.diagnose.accepts import PASSIVE_OPENS
from estab.live import rates
from estab.live.columns import BY_SEVERITY, where
from estab.live.judgement import DISTRESS, rate
from estab.live.view import ConnectionsByPeer, HostTotals, HostView, ListenerRow, Target
from estab.records import Diagnosis
from estab.report.layout import Glyphs, bar
from estab.report.words import DASH, clean, count

LABEL = 11
_ALWAYS = (PASSIVE_OPENS, "Tcp.ActiveOpens", rates.OVERFLOWS, rates.DROPS, "Tcp.RetransSegs")
_BAD = (rates.OVERFLOWS, rates.DROPS)
_STALE_S = 3.0
_NEEDED = ("listeners", "listeners.owners", "counters", "sockstat", "census", "targets", "netns")
BAR = 16
_WIDE = 76
_NOTABLE = 0.5  # of the connection tracking table: below that it needs no line of a short screen


def label(text: str) -> Text:
    """The name of a line, dim and of one width."""
    return Text().append(text.ljust(LABEL), style="dim")


def sockets(totals: HostTotals) -> Text:
    """Sockets by state, the busiest first; what is cheap to count stands for them until they were counted."""
    text = label("Sockets")
    if totals.states is None:
        return text.append(_uncounted(totals))
    listening = totals.states.get("LISTEN", 0)
    text.append(f"{sum(totals.states.values()):,}", style="bold")
    text.append(f"   LISTEN {listening:,}" if listening else "")
    for name, number in sorted(totals.states.items(), key=lambda item: (-item[1], item[0])):
        if name != "LISTEN" and number:
            text.append(f"   {clean(name)} ").append(f"{number:,}", style="bold")
    if (totals.states_age_s or 0) > _STALE_S:
        text.append(f"   ({totals.states_age_s:,.0f} s ago)", style="dim")
    return text


def _uncounted(totals: HostTotals) -> Text:
    parts = [("in use", totals.inuse), ("TIME-WAIT", totals.time_wait), ("orphans", totals.orphans)]
    known = [f"{name} {number:,}" for name, number in parts if number is not None]
    return Text("   ".join(known) if known else "not observed")


def changes(totals: HostTotals) -> Text:
    """What happens a second: those that always stand there, and of the others what is not 0."""
    text = label("A second")
    if totals.rates is None:
        return text.append("rates come with the second look", style="dim")
    shown = [name for name in rates.COUNTERS if name in totals.rates and (name in _ALWAYS or totals.rates[name])]
    for number, name in enumerate(sorted(shown, key=lambda name: _ALWAYS.index(name) if name in _ALWAYS else 99)):
        value = totals.rates[name]
        text.append("   " if number else "").append(f"{rates.COUNTERS[name]} ")
        text.append(_zero(value), style="bold red" if value and name in _BAD else "bold")
        if name == PASSIVE_OPENS and totals.accepted_per_s is not None:
            text.append("   accepted ").append(_zero(totals.accepted_per_s), style="bold")
    return text


def conntrack(totals: HostTotals, glyphs: Glyphs) -> Text:
    """The connection tracking table."""
    text = label("Conntrack")
    table = totals.conntrack
    if table is None or table.count is None:
        return text.append("not loaded here, or not readable", style="dim")
    fill = table.count / table.maximum if table.maximum else None
    text.append(_bar(fill, glyphs) + "  ", style=_level(fill))
    text.append(f"{table.count:,}", style="bold").append(f" of {count(table.maximum)}")
    if totals.conntrack_drops_per_s is not None:
        style = "bold red" if totals.conntrack_drops_per_s else ""
        text.append("   dropped a second ").append(_zero(totals.conntrack_drops_per_s), style=style)
    return text


def conntrack_is_notable(totals: HostTotals) -> bool:
    """Whether the table is half full, or drops."""
    table = totals.conntrack
    fill = (table.count or 0) / table.maximum if table is not None and table.maximum else 0.0
    return fill >= _NOTABLE or bool(totals.conntrack_drops_per_s)


def verdict(diagnosis: Diagnosis | None) -> Text:
    """The judge's word on the last seconds, in a paragraph."""
    text = label("Verdict")
    if diagnosis is None:
        return text.append(DASH, style="dim")
    if diagnosis.cause is not None:
        text.append(clean(diagnosis.cause), style="bold red").append("  ")
    style = (
        ""
        if diagnosis.cause
        else "yellow"
        if any(suspect.verdict == "possible" for suspect in diagnosis.suspects)
        else "green"
    )
    return text.append(clean(diagnosis.summary), style=style)


def worst(rows: Sequence[ListenerRow]) -> Text:
    """The judgement of the listener in the greatest distress, in words; nothing where none is in any."""
    first = max(rows, key=lambda row: row.distress, default=None)
    if first is None or first.judgement.severity < DISTRESS:
        return Text("")
    text = label("Worst").append(f"{where(first.address, first.port)}  ", style="bold")
    return text.append(first.judgement.says, style=BY_SEVERITY[first.judgement.severity])


def ports(view: HostView, most: int, glyphs: Glyphs, width: int, peers: int = 0) -> list[Text]:
    """The busiest targets with their port budget, and so many peers; where no ports were counted peers alone."""
    busiest = [] if not view.peers else _peers(view, peers if view.targets else most)
    if view.targets:
        targets = [_target(target, glyphs, width) for target in view.targets[:most]]
        return [_ports_title(view.targets, width), *targets, *([Text(""), *busiest] if peers and busiest else [])]
    if busiest:
        return busiest
    return [Text("LOCAL PORTS TOWARDS", style="bold"), Text("no connection from here to anywhere", style="dim")][
        : most + 1
    ]


def _peers(view: HostView, most: int) -> list[Text]:
    return [Text("PEERS WITH MOST CONNECTIONS", style="bold"), *(_peer(peer) for peer in view.peers[:most])]


def _ports_title(targets: Sequence[Target], width: int) -> Text:
    age = max(target.age_s for target in targets)
    text = Text(f"{'LOCAL PORTS TOWARDS':<{_name_width(width)}} {'':<{BAR}} {'IN USE/OF':>13} {'TIME-WAIT':>9}", "bold")
    text.append(f" {'SOURCES':>7}" if width >= _WIDE else "")
    return text.append(f"  ({age:,.0f} s ago)" if age > _STALE_S and width >= 100 else "", style="not bold dim")


def _name_width(width: int) -> int:
    return max(16, min(44, width - BAR - (33 if width >= _WIDE else 25)))


def _target(target: Target, glyphs: Glyphs, width: int) -> Text:
    """One target; of several source addresses the one that uses most, which is the first to run out."""
    use = target.use
    name = where(use.address, use.port) + (f" ({clean(target.netns)})" if target.netns else "")
    room = _name_width(width)
    text = Text(name[:room].ljust(room) + " ")
    text.append(_bar(target.fill, glyphs), style=_level(target.fill))
    used = use.used if use.worst_source_used is None else use.worst_source_used
    text.append(f" {f'{used:,}/{count(use.capacity)}':>13} {use.time_wait:>9,}")
    return text.append(f" {use.sources:>7,}" if width >= _WIDE else "")


def _peer(peer: ConnectionsByPeer) -> Text:
    return Text(f"{clean(peer.address):<40} {peer.sockets:>9,}")


def _bar(fill: float | None, glyphs: Glyphs) -> str:
    """Blanks where it is not known."""
    return " " * BAR if fill is None else bar(fill, BAR, glyphs, track=True)


def _level(fill: float | None) -> str:
    return "dim" if fill is None else "red" if fill >= 1 else "yellow" if fill >= 0.7 else "green"


def _zero(value: float) -> str:
    return rate(value) if value else "0"


def unobserved(view: HostView, most: int = 3) -> Text:
    """What this user does not see, in a line; nothing where all was seen."""
    asked = list(dict.fromkeys(clean(why) for field, why in view.unobserved if field in _NEEDED))
    return label("Less").append("; ".join(asked[:most]), style="yellow") if asked else Text("")
