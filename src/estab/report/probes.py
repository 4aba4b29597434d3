"""Probes in words: what each tried, how often, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from estab.records import ConnectTry, OtherPort, Ping, Probes, RunResult, SizeProbe, SourcePorts
from estab.report.words import clean, percent, seconds
from estab.words import plural

HEADER = (("probe", False), ("what came of it", False))  # and whether it is a number
_NAMES = {"sizes": "by size", "ping": "ping"}


def probe_rows(run: RunResult, micro: str = "us") -> Iterator[tuple[str, str]]:
    """A row for each: its name and its outcome. None where no probe was made."""
    probes = run.probes
    if probes is None:
        return
    if probes.other_port is not None and probes.other_port.tries:
        yield "another port", _other_port(probes.other_port, micro)
    if probes.ping is not None:
        yield "ping", _ping(probes.ping, micro)
    if probes.source_ports is not None:
        yield "source ports", _source_ports(probes.source_ports)
    if run.size_probe is not None:
        yield "by size", _size(run.size_probe)
    for missing in probes.not_tried:
        yield _NAMES.get(missing.probe, clean(missing.probe)), f"not tried: {clean(missing.why)}"
    yield "in all", _bounds(probes)


def _bounds(probes: Probes) -> str:
    return f"{plural(probes.connects, 'connect')} in {probes.seconds:.1f} s"


def _outcome(tried: ConnectTry, micro: str) -> str:
    after = seconds(tried.ms / 1000, micro)
    if tried.errno in ("own_timeout", "ETIMEDOUT"):
        return f"gave no answer in {after}"
    words = {None: "connected", "ECONNREFUSED": "refused"}.get(tried.errno, f"gave {clean(tried.errno or '')}")
    return f"{words} after {after}" + (f", at SYN {tried.resent + 1}" if tried.resent else "")


def _other_port(other: OtherPort, micro: str) -> str:
    text = f"{other.port} {_outcome(other.tries[0], micro)}"
    if other.open:
        text += f" while {other.open:,} were open"
    if other.before is not None and other.before.answered != other.tries[0].answered:
        text += f" ({_outcome(other.before, micro)} before)"
    if other.target:
        lost = sum(not tried.answered for tried in other.target)
        text += (
            f"; the target {'answered too' if not lost else 'did not' if lost == len(other.target) else 'did at times'}"
        )
    if other.beside:
        lost = sum(tried.silent or bool(tried.resent) for tried in other.beside)
        text += f"; {lost} of {len(other.beside)} more lost a SYN"
    return text


def _ping(ping: Ping, micro: str) -> str:
    text = "no answer" if ping.ms is None else f"answered after {seconds(ping.ms / 1000, micro)}"
    if ping.asked_before and (ping.before_ms is None) != (ping.ms is None):
        text += f" ({'none' if ping.before_ms is None else 'one'} before)"
    return text


def _source_ports(made: SourcePorts) -> str:
    first = [port.tries[0] for port in made.ports if port.tries]
    through = sum(tried.errno is None for tried in first)
    text = f"{through:,} of {len(first):,} got through ({percent(through, len(first))})"
    again = [port for port in made.ports if len(port.tries) > 1]
    if again:
        changed = sum(len({tried.answered for tried in port.tries}) > 1 for port in again)
        text += f"; of {len(again)} tried again {changed or 'none'} fared otherwise"
    if late := sum(tried.errno is None and bool(tried.resent) for tried in first):
        text += f"; {late} at a later SYN"
    return text


def _size(probe: SizeProbe) -> str:
    if probe.passes_bytes is not None and probe.loses_bytes is not None:
        passes = plural(probe.passes_bytes, "byte")
        return f"packets of up to {passes} pass, of {probe.loses_bytes:,} none does ({clean(probe.lost or '')})"
    if not probe.small_acknowledged:
        return "a request in small segments was not acknowledged"
    if probe.full_bytes is not None and probe.full_bytes <= probe.small_mss:
        return f"request and reply fit into segments of {plural(probe.small_mss, 'byte')}: no size was tried"
    if probe.full_passed:
        back = "" if probe.small_answered else " to the server, which did not answer"
        return f"packets of up to {plural(probe.full_bytes or 0, 'byte')} pass{back}"
    return f"small segments pass, whole ones ({plural(probe.full_bytes or 0, 'byte')}) do not"
