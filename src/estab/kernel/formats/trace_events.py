"""tracefs: where the fields of a binary event stand, by its `format`, and what `stats` says was lost.

It imports as little as it can, no regular expressions and no records: the process that traces starts with it.
"""

from __future__ import annotations

from estab.errors import ParseError

TYPE_CHECKING = False  # as typing's, which would take a while to import
if TYPE_CHECKING:
    from collections.abc import Mapping


class EventFormat:
    """Where the fields of a binary event stand, as (offset, size) in bytes; `id` is its first two bytes."""

    def __init__(self, number: int, fields: dict[str, tuple[int, int]]) -> None:
        self.id, self.fields = number, fields

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


def parse_format(data: bytes) -> EventFormat:
    """An event's `format`. Raises ParseError where it names no id or no field.

    Source: `trace_events.c f_show`; events of `trace_syscalls.c` print the same.
    """
    lines = data.decode("ascii", "replace").partition("print fmt:")[0].splitlines()
    number = next((_number(line.removeprefix("ID: "), 5) for line in lines if line.startswith("ID: ")), None)
    fields = dict(filter(None, map(_field, lines)))
    if number is None or not fields:
        raise ParseError("format names no ID, or no field", 0)
    return EventFormat(number, fields)


def _field(line: str) -> tuple[str, tuple[int, int]] | None:
    """`\tfield:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;`; an array's length stands behind its name."""
    declared, *facts = (part.strip() for part in line.split(";"))
    name = declared.partition("[")[0].rpartition(" ")[2]
    if not declared.startswith("field:") or len(facts) < 2 or not name:
        return None
    offset, size = (_number(fact.partition(":")[2], 6) for fact in facts[:2])
    return None if offset is None or size is None else (name, (offset, size))


def _number(text: str, digits: int) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def parse_stats(data: bytes) -> int:
    """How many events of one CPU were lost, from per_cpu/cpuN/stats. Raises ParseError where it does not say.

    Source: `tracing_stats_read` in kernel/trace/trace.c: `overrun` were written over before they were read, `dropped
    events` and `commit overrun` never written.
    """
    parted = (line.partition(": ") for line in data.decode("ascii", "replace").splitlines())
    counts = {name: count for name, _, text in parted if (count := _number(text, 19)) is not None}
    if "overrun" not in counts:
        raise ParseError("stats name no overrun", 0)
    return sum(counts.get(name, 0) for name in ("overrun", "commit overrun", "dropped events"))
