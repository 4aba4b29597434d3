"""Settings: what `--set` changes of a scenario, each with its default, its bounds, and what it is.

Bounds are those of the kernel where it has some (a sysctl's own minimum and maximum, `int` elsewhere), and what two
hosts on one machine can bear where it has none. A name means the same in all scenarios: what many share is below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any

from estab.errors import UsageError
from estab.records.lab import LabSetting
from estab.report.words import setting_value

Value = int | float | str | bool | None
INT = 2**31 - 1  # the kernel keeps these in an int
MOST = 20_000  # connections
_LONGEST_S, _LONGEST_RTT_S = 600.0, 10.0


def setting(
    default: Value, text: str, least: float | None = None, most: float | None = None, *,
    choices: tuple[str, ...] = (), words: str = "",
) -> Any:  # fmt: skip
    """A field of a scenario: its default, what it is, and its bounds.

    From `least` to `most`, both included; or one of `choices`; or, with neither, text that `words` describe.
    """
    return field(
        default=default, metadata={"text": text, "least": least, "most": most, "choices": choices, "words": words}
    )  # fmt: skip


def duration(default: float, text: str) -> Any:
    """A time in seconds, 0 to 10 minutes; its field ends in `_s`."""
    return setting(default, text, 0.0, _LONGEST_S)


def switch(default: bool, text: str) -> Any:
    """Yes or no."""
    return setting(default, text)


def connections(default: int, text: str) -> Any:
    """How many connections."""
    return setting(default, text, 1, MOST)


def rtt(default: float) -> Any:
    """The round-trip time of the wire."""
    return setting(default, "round-trip time", 0.0, _LONGEST_RTT_S)


def backlog(default: int) -> Any:
    """The server's backlog."""
    return setting(default, "what listen() is asked for", 0, INT)


def somaxconn(default: int = 4096, text: str = "net.core.somaxconn at the server") -> Any:
    """`net/core/sysctl_net_core.c`: 0 to INT_MAX."""
    return setting(default, text, 0, INT)


def cookies(default: int) -> Any:
    """`net/ipv4/sysctl_net_ipv4.c tcp_syncookies`."""
    return setting(default, "net.ipv4.tcp_syncookies at the server", 0, 2)


def max_syn_backlog(default: int = 2048) -> Any:
    """The bound of the SYN queue without cookies."""
    return setting(default, "net.ipv4.tcp_max_syn_backlog at the server", 1, INT)


def parameters(scenario: type[Any]) -> list[LabSetting]:
    """The settings of a scenario, as `--set` takes them. A field `rtt_s` is set by `rtt=20ms`, a rate by its name."""
    return [_parameter(known) for known in fields(scenario)]


def _parameter(known: Field[Any]) -> LabSetting:
    default: Value = known.default  # type: ignore[assignment] # `setting` always gives one
    is_time = known.name.endswith("_s") and not known.name.endswith("_per_s")
    kind = "seconds" if is_time else type(default).__name__
    least, most, choices = (known.metadata[key] for key in ("least", "most", "choices"))
    if choices:
        takes = f"{', '.join(choices[:-1])} or {choices[-1]}"
    elif kind == "bool":
        takes = "yes or no"
    elif kind == "seconds":
        takes = f"a time, {setting_value(kind, least)} to {setting_value(kind, most)}"
    else:
        takes = known.metadata["words"] or f"{least:,.0f} to {most:,.0f}"
    return LabSetting(
        key=known.name.removesuffix("_s") if is_time else known.name, field=known.name, kind=kind, default=default,
        takes=takes, text=known.metadata["text"], least=least, most=most, choices=list(choices),
    )  # fmt: skip


def allows(known: LabSetting, value: Value) -> bool:
    """Is a value of the right type, and within the bounds?"""
    wanted = {"int": int, "bool": bool, "seconds": int | float, "float": int | float}.get(known.kind, str)
    if not isinstance(value, wanted) or isinstance(value, bool) != (known.kind == "bool"):
        return False
    if known.choices:
        return value in known.choices
    if known.least is None or known.most is None or not isinstance(value, int | float):
        return True
    return known.least <= value <= known.most


def check(scenario: type[Any], changes: Mapping[str, Value]) -> None:
    """Raises UsageError for a name that the scenario lacks, or a value that can't be."""
    known = {setting.field: setting for setting in parameters(scenario)}
    for name, value in changes.items():
        if name not in known:
            raise UsageError(f"the scenario has no setting {name!r}; it has {', '.join(sorted(known)) or 'none'}")
        if not allows(known[name], value):
            setting = known[name]
            raise UsageError(f"{setting.key}={value} is out of range ({setting.text}): it takes {setting.takes}")


def sizes(name: str, text: str) -> tuple[int, ...]:
    """The numbers of a setting like "50,100,200". Raises UsageError with what is wrong."""
    numbers = tuple(int(part) if part.strip().isdecimal() else 0 for part in text.split(","))
    if not all(numbers):
        raise UsageError(f"{name}={text!r}: give whole numbers above 0 with commas between them, as {name}=50,100,200")
    return numbers
