"""tracefs as text: an event's `format`, and the lines of `trace_pipe`.

What lives here: what `trace_print_context` and the events' TP_printk print (include/trace/events/{skb,tcp}.h). Drop
reasons change their numbers between kernels, so their names are taken from `format` (docs/kernel.md rule 28).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from estab.errors import ParseError
from estab.records import Record

# `__print_symbolic(REC->reason, { 1, "NOT_SPECIFIED" }, …)`; older kernels print `{ 2 , "…" }` or hexadecimal.
_SYMBOL = re.compile(r"\{\s*(0x[0-9a-fA-F]{1,16}|[1-9][0-9]{0,18}|0)\s*,\s*\"([^\"]*)\"\s*\}")
# `  python3-1234    [001] d.s2.  123.456789: kfree_skb: skbaddr=…`; the task may hold spaces, dashes and brackets.
_EVENT = re.compile(r"\[\d{1,6}\]\s+\S+\s+\d{1,12}\.\d{1,9}: (\w{1,64}): ?(.*)")
_LOST = re.compile(r"CPU:\d{1,6} \[LOST (\d{1,18}) EVENTS\]")
_FIELD = re.compile(r"(\w+)(?:=|: ?)(\S+)")


# `\tfield:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;`; an array's length stands behind its name.
_LAYOUT = re.compile(r"field:[^;\n]{1,200}?(\w{1,64})(?:\[\d{0,6}\])?;\s*offset:(\d{1,6});\s*size:(\d{1,6});")
_ID = re.compile(r"^ID: (\d{1,5})$", re.MULTILINE)


class EventFormat(Record, frozen=True, kw_only=True):
    """Where the fields of a binary event stand, as (offset, size) in bytes; `id` is its first two bytes."""

    id: int
    fields: dict[str, tuple[int, int]]

    def offsets(self, wanted: Mapping[str, int]) -> tuple[int, ...]:
        """Its id and where these fields stand, each of the size that is given.

        Raises ParseError where one is missing or of another size: this kernel's event is not the one that is known.
        """
        for name, size in wanted.items():
            if self.fields.get(name, (0, 0))[1] != size:
                raise ParseError(
                    f"event {self.id} has no field {name} of {size} bytes: this kernel tells it differently"
                )
        return (self.id, *(self.fields[name][0] for name in wanted))


class Event(Record, frozen=True, kw_only=True):
    """One event: its name and its fields as printed. `name` is "" on a line that says how many were `lost`."""

    name: str
    fields: dict[str, str] = {}
    lost: int = 0


def parse_reasons(data: bytes) -> dict[int, str]:
    """The drop reasons by number, from the `format` of skb:kfree_skb. Raises ParseError where it names none."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise ParseError(f"format is not ASCII: {data[error.start : error.start + 20]!r}", error.start) from error
    print_line = text.partition("print fmt:")[2]
    reasons = {int(number, 0): name for number, name in _SYMBOL.findall(print_line)}
    if not reasons:
        raise ParseError("format names no drop reason: this kernel is older than 5.17")
    return reasons


def parse_format(data: bytes) -> EventFormat:
    """An event's `format`. Raises ParseError where it names no id or no field.

    Source: `trace_events.c f_show`; events of `trace_syscalls.c` print the same.
    """
    text = data.decode("ascii", "replace").partition("print fmt:")[0]
    number, fields = _ID.search(text), _LAYOUT.findall(text)
    if number is None or not fields:
        raise ParseError("format names no ID, or no field", 0)
    return EventFormat(id=int(number[1]), fields={name: (int(offset), int(size)) for name, offset, size in fields})


def parse_stats(data: bytes) -> int:
    """How many events of one CPU were lost, from per_cpu/cpuN/stats. Raises ParseError where it does not say.

    Source: `tracing_stats_read` in kernel/trace/trace.c: `overrun` were written over before they were read, `dropped
    events` and `commit overrun` never written.
    """
    counts = dict(re.findall(r"^([a-z ]{1,20}): (\d{1,19})$", data.decode("ascii", "replace"), re.MULTILINE))
    if "overrun" not in counts:
        raise ParseError("stats name no overrun", 0)
    return sum(int(counts.get(name, 0)) for name in ("overrun", "commit overrun", "dropped events"))


def parse_line(line: bytes) -> Event | None:
    """One line of `trace_pipe`; None where it is empty or a comment. Raises ParseError for anything else."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    if not text.strip() or text.startswith("#"):
        return None
    if (lost := _LOST.search(text)) and "]: " not in text:
        return Event(name="", lost=int(lost[1]))
    if (event := _EVENT.search(text)) is None:
        raise ParseError(f"not an event: {line[:60]!r}", 0)
    return Event(name=event[1], fields=dict(_FIELD.findall(event[2])))


def reason_of(event: Event, names: Mapping[int, str]) -> str:
    """The reason that a kfree_skb event names, by name also where the kernel printed its number."""
    printed = event.fields.get("reason", "")
    if re.fullmatch(r"(0x[0-9a-fA-F]{1,16}|[1-9][0-9]{0,18}|0)", printed):
        return names.get(int(printed, 0), f"REASON-{int(printed, 0)}")
    return printed or "NOT_NAMED"


# Which function dropped it tells what no field does: the transport protocol.
_OTHERS = ("udp", "__udp", "icmp", "raw", "ping", "igmp", "arp", "unix", "netlink", "packet", "mld", "ndisc", "sctp")
_IP_ETHERTYPES = ("2048", "34525")


def may_be_tcp(event: Event) -> bool:
    """Whether a kfree_skb event may be of a TCP segment: an IP packet, not dropped by another protocol's function.

    The event carries no transport protocol. What the IP layer or a firewall dropped may be of any.
    """
    location = event.fields.get("location", "")
    return event.fields.get("protocol") in _IP_ETHERTYPES and not location.startswith(_OTHERS)
