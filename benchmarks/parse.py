"""What the peers print, as numbers. Pure: text in, figures out. ValueError says what was missing."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NEPER = re.compile(r"^throughput=(\S+)\s*$", re.MULTILINE)
_GO_FLOOD = re.compile(r"Throughput: (\S+) \[#/sec\]")
_SOCKPERF = re.compile(r"\[Valid Duration\] RunTime=(\S+) sec; SentMessages=\d+; ReceivedMessages=(\d+)")
_GO_HOLD_END = re.compile(r"(\d+) Disconnected\.")


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"it said last: {lines[-1][:200]!r}" if lines else "it said nothing"


def _positive(found: list[str], what: str, text: str) -> float:
    if not found:
        raise ValueError(f"no {what} in the output; {_tail(text)}")
    value = float(found[-1])
    if not 0 < value < float("inf"):
        raise ValueError(f"{what} {found[-1]} is no rate; {_tail(text)}")
    return value


def neper_rate(text: str) -> float:
    """Transactions a second, from the `throughput=` line of a neper client's standard output."""
    return _positive(_NEPER.findall(text), "'throughput=' line", text)


def go_flood_rate(text: str) -> float:
    """Requests a second that came back, from the log of the Go pair's bench (`1.76e+06 [#/sec]`)."""
    return _positive(_GO_FLOOD.findall(text), "'Throughput:' line", text)


def go_hold_seconds(lines: Iterable[tuple[float, str]], connections: int) -> float:
    """First connect to last close of the Go pair's client, from its lines and when each was read, in seconds.

    It prints `maxConns := …` right before its first connect, and `N Disconnected.` after each 1,000th close, so that
    `connections` must be a multiple of 1,000.
    """
    if connections % 1000:
        raise ValueError(f"{connections} connections is not a multiple of 1,000: the last close would not be seen")
    began: float | None = None
    said = []
    for at, line in lines:
        said.append(line)
        if began is None and line.startswith("maxConns :="):
            began = at
        ended = _GO_HOLD_END.match(line)
        if ended and int(ended[1]) == connections and began is not None:
            return at - began
    raise ValueError(f"it did not close {connections:,} connections; {_tail(chr(10).join(said))}")


def netperf_rate(text: str) -> float:
    """Transactions a second, the one number that `netperf -P 0 -v 0` prints."""
    return _positive(re.findall(r"^\s*([\d.]+)\s*$", text, re.MULTILINE), "number on a line of its own", text)


def wrk_rate(text: str) -> float:
    """Replies a second, from wrk's `Requests/sec:` line. ValueError too where it counted errors of any kind."""
    errors = re.search(r"^\s*(Socket errors:.*|Non-2xx or 3xx responses:.*)$", text, re.MULTILINE)
    if errors:
        raise ValueError(f"wrk met failures: {errors[1]}")
    return _positive(re.findall(r"^Requests/sec:\s+(\S+)$", text, re.MULTILINE), "'Requests/sec:' line", text)


def sockperf_rate(text: str) -> float:
    """Round trips a second of `sockperf ping-pong`, its warm-up left out."""
    found = _SOCKPERF.findall(text)
    return _positive([str(float(count) / float(took)) for took, count in found], "'[Valid Duration]' line", text)


def tcpkali_seconds(lines: Iterable[tuple[float, str]], connections: int) -> float:
    """From tcpkali's word that it begins to its word that all are connected, in seconds."""
    began: float | None = None
    said = []
    for at, line in lines:
        said.append(line)
        if began is None and line.startswith("Using interface"):
            began = at
        if began is not None and line.startswith(f"Ramped up to {connections} connections"):
            return at - began
    raise ValueError(f"it did not open {connections:,} connections; {_tail(chr(10).join(said))}")
