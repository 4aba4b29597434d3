"""tracefs as text: the drop reasons in an event's `format`, and the lines of `trace_pipe`.

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
