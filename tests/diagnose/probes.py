"""What probes told, as a record holds it: one builder a shape."""

from __future__ import annotations

from typing import Any

from estab.records import ConnectTry, OtherPort, Ping, PortTries, Probes, SizeProbe, SourcePorts

_OUTCOMES = {
    ".": ConnectTry(ms=0.2, resent=0),
    "r": ConnectTry(errno="ECONNREFUSED", ms=0.2, resent=0),
    "l": ConnectTry(ms=1012.0, resent=1),
    "x": ConnectTry(errno="own_timeout", ms=2500.0, resent=1),
    "u": ConnectTry(errno="EHOSTUNREACH", ms=3060.0, resent=0),
}


def tries(letters: str) -> list[ConnectTry]:
    """One a letter: `.` connected, `r` refused, `l` connected at its second SYN, `x` silent, `u` unreachable."""
    return [_OUTCOMES[letter] for letter in letters]


def from_ports(first: str, *again: str) -> Probes:
    """A port a letter. `again`: the second try of those that had one, by place, as ("2x", "5.")."""
    later = {int(text[:-1]): text[-1] for text in again}
    ports = [
        PortTries(port=61_000 + number, tries=tries(letter + later.get(number, "")))
        for number, letter in enumerate(first)
    ]
    return Probes(connects=len(first) + len(again), source_ports=SourcePorts(within_s=2.5, ports=ports))


def quarter_dead(**later: str) -> Probes:
    """60 ports, each fourth dead; twelve of either kind fare the same again, or as `later` says by place (`p3="."`)."""
    again = {number: "x" if number % 4 == 3 else "." for number in (*range(3, 51, 4), *range(0, 48, 4))}
    again |= {int(place[1:]): letter for place, letter in later.items()}
    return from_ports("...x" * 15, *(f"{number}{letter}" for number, letter in again.items()))


def other_port(now: str, before: str | None = "r", *, target: str = "xx", **fields: Any) -> Probes:
    """Another port at the same time as the target, while 250 connections were held."""
    other = OtherPort(
        port=5001, before=tries(before)[0] if before else None, tries=tries(now), target=tries(target), open=250
    )
    return Probes(connects=4, other_port=other, **fields)


def with_beside(probes: Probes, beside: str) -> Probes:
    """And more connects to the other port, which answers."""
    other = OtherPort(port=5001, before=tries("r")[0], tries=tries("r"), target=tries(".."), beside=tries(beside))
    return probes.replace(other_port=other)


def border(passes: int, lost: str = "requests") -> SizeProbe:
    """A request of 4,000 bytes, and the size from which on packets were lost."""
    return SizeProbe(
        size_bytes=4000, small_mss=536, small_acknowledged=True, small_answered=True,
        full_acknowledged=lost == "answers", full_answered=False, full_bytes=1500, passes_bytes=passes,
        loses_bytes=passes + 1, lost=lost, connects=23,
    )  # fmt: skip


def small_lost() -> SizeProbe:
    """A connection whose data nobody acknowledged, in however small segments."""
    return SizeProbe(size_bytes=4000, small_mss=536, small_acknowledged=False, small_answered=False, connects=1)


PING = Ping(ms=0.3, asked_before=True, before_ms=0.3)
NO_PING = Ping(asked_before=True, before_ms=0.3)
