"""The text of a file below /proc/sys, and the ports that two of them leave for connect().

What lives here: `proc_dointvec` and `proc_do_large_bitmap` (`kernel/sysctl.c`), as `sysctl_net_ipv4.c` uses them.
"""

from __future__ import annotations

from estab.errors import ParseError

_HIGHEST_PORT = 65535


def parse_value(data: bytes) -> list[int] | str:
    """A sysctl's value: integers where all of it is integers, else the text without its newline (`cubic`, or empty).

    Raises ParseError where it is not UTF-8.
    """
    try:
        text = data.decode().strip()
    except UnicodeDecodeError as error:
        raise ParseError(f"sysctl value is not text: {data[:40]!r}", error.start) from error
    try:
        # int() takes 1_000 too, which the kernel never writes: such text stays text.
        return [int(word) for word in text.split()] if text and "_" not in text else text
    except ValueError:
        return text


def reserved_ports(value: list[int] | str) -> list[tuple[int, int]]:
    """`ip_local_reserved_ports` as ranges in order, both ends included: `80,90-99` is [(80, 80), (90, 99)].

    Takes what `parse_value` gives (one lone port is a list of one integer). Raises ParseError where it is no such list.
    """
    text = value if isinstance(value, str) else ",".join(map(str, value))
    ranges: list[tuple[int, int]] = []
    for part in text.split(",") if text else []:
        low, dash, high = part.strip().partition("-")
        first, last = _port(low, part), _port(high if dash else low, part)
        if last < first:
            raise ParseError(f"reserved ports {part!r} end before they start")
        ranges.append((first, last))
    return sorted(ranges)


def usable_ports(port_range: list[int] | str, reserved: list[int] | str = "") -> int:
    """How many ports `ip_local_port_range` (both ends included) gives connect(), less those reserved.

    Takes what `parse_value` gives. Raises ParseError where either is not what it should be.
    """
    low, high = port_bounds(port_range)
    taken: set[int] = set()
    for first, last in reserved_ports(reserved):
        taken.update(range(max(first, low), min(last, high) + 1))
    return high - low + 1 - len(taken)


def port_bounds(port_range: list[int] | str) -> tuple[int, int]:
    """`ip_local_port_range` as its lowest and highest port. Raises ParseError where it is not two ports in order."""
    if isinstance(port_range, str) or len(port_range) != 2:
        raise ParseError(f"port range {str(port_range)[:40]!r} is not two ports")
    low, high = port_range
    if not 0 <= low <= high <= _HIGHEST_PORT:
        raise ParseError(f"port range {low} to {high} is none")
    return low, high


def _port(word: str, part: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= _HIGHEST_PORT):
        raise ParseError(f"reserved ports {part[:40]!r} name no port")
    return int(word)
