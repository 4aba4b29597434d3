"""The text of /proc/net/netstat, /proc/net/snmp(6) and /proc/net/sockstat(6): counters by name.

What lives here: `net/ipv4/proc.c` (`netstat_seq_show`, `snmp_seq_show`, `sockstat_seq_show`) and its IPv6 twin.
"""

from __future__ import annotations

from functools import lru_cache

from estab.errors import ParseError

# No colon stands behind the prefix in snmp6 (`net/ipv6/proc.c snmp6_list`).
_SNMP6_PREFIXES = ("Ip6", "Icmp6")


def parse_counters(data: bytes) -> dict[str, int]:
    """/proc/net/netstat or /proc/net/snmp as `prefix.Name` to value (`TcpExt.ListenOverflows`).

    The file holds pairs of lines: names, then values, both behind the same prefix. `Tcp.MaxConn` is -1 for "no limit".
    Raises ParseError where a pair does not match or a value is no integer.
    """
    lines = data.splitlines(keepends=True)
    counters: dict[str, int] = {}
    offset = 0
    for index in range(0, len(lines), 2):
        if index + 1 == len(lines):
            raise ParseError(f"names without values: {_short(lines[index])}", offset)
        prefix, text = _split(lines[index], offset)
        names = _names(prefix, text)
        offset += len(lines[index])
        again, text = _split(lines[index + 1], offset)
        values = text.split()
        if again != prefix or len(names) != len(values):
            raise ParseError(f"{len(names)} names of {prefix!r}, {len(values)} values of {again!r}", offset)
        counters.update(zip(names, _integers(values, offset), strict=True))
        offset += len(lines[index + 1])
    return counters


def pick_counters(data: bytes, wanted: frozenset[str]) -> dict[str, int]:
    """Those of `parse_counters` that are `wanted`, for a few at a small part of its cost; what is missing is left out.

    Raises ParseError where a line of theirs ends before them, or a value is no integer.
    """
    lines = data.split(b"\n")
    picked: dict[str, int] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        if places := _places(names, wanted):
            words = values.split()
            try:
                picked.update((name, int(words[place])) for name, place in places)
            except (IndexError, ValueError) as error:
                raise ParseError(f"no value of each name: {_short(values)}", data.find(values)) from error
    return picked


def parse_snmp6(data: bytes) -> dict[str, int]:
    """/proc/net/snmp6 as `prefix.Name` to value (`Ip6.OutNoRoutes`, `Icmp6.InDestUnreachs`): one name a line.

    What is of neither IP nor ICMP (UDP) is left out. Raises ParseError where a line is not a name and an integer.
    """
    counters: dict[str, int] = {}
    offset = 0
    for line in data.splitlines(keepends=True):
        words = line.split()
        if len(words) != 2:
            raise ParseError(f"not a name and a number: {_short(line)}", offset)
        name = words[0].decode("ascii", "replace")
        number = _integers([words[1].decode("ascii", "replace")], offset)[0]
        prefix = next((known for known in _SNMP6_PREFIXES if name.startswith(known)), None)
        if prefix is not None:
            counters[f"{prefix}.{name.removeprefix(prefix)}"] = number
        offset += len(line)
    return counters


def parse_sockstat(data: bytes) -> dict[str, int]:
    """/proc/net/sockstat or sockstat6 as `prefix.name` to value (`TCP.tw`, in sockets; `TCP.mem`, in pages).

    Raises ParseError where a line is not a prefix with pairs of name and integer.
    """
    sockets: dict[str, int] = {}
    offset = 0
    for line in data.splitlines(keepends=True):
        prefix, text = _split(line, offset)
        words = text.split()
        if len(words) % 2:
            raise ParseError(f"name without a value: {_short(line)}", offset)
        numbers = _integers(words[1::2], offset)
        sockets.update((f"{prefix}.{name}", number) for name, number in zip(words[::2], numbers, strict=True))
        offset += len(line)
    return sockets


def _split(line: bytes, offset: int) -> tuple[str, str]:
    """A line's prefix and what stands behind its colon."""
    try:
        prefix, colon, rest = line.decode("ascii").partition(":")
    except UnicodeDecodeError as error:
        raise ParseError(f"not ASCII: {_short(line)}", offset + error.start) from error
    if not colon or not prefix:
        raise ParseError(f"no prefix in {_short(line)}", offset)
    return prefix, rest


@lru_cache(maxsize=64)
def _names(prefix: str, text: str) -> tuple[str, ...]:
    """`prefix.Name` of each name in the text. Kept: a kernel names the same ones each time it is asked."""
    return tuple(f"{prefix}.{name}" for name in text.split())


@lru_cache(maxsize=64)
def _places(names: bytes, wanted: frozenset[str]) -> tuple[tuple[str, int], ...]:
    """Where in the line of values the wanted stand, whose names are in this line; both begin with the prefix."""
    prefix, _, rest = names.decode("ascii", "replace").partition(":")
    named = ((f"{prefix}.{name}", place) for place, name in enumerate(rest.split(), 1))
    return tuple((name, place) for name, place in named if name in wanted)


def _integers(words: list[str], offset: int) -> list[int]:
    try:
        return list(map(int, words))
    except ValueError as error:
        raise ParseError(f"not an integer: {error}", offset) from error


def _short(line: bytes) -> str:
    return repr(line[:40])
