"""What was asked, in one line: the command and its `config` in the order in which a person would say it."""

from __future__ import annotations

from collections.abc import Callable

from estab.records import RunResult
from estab.report.words import clean, count
from estab.words import plural

Value = int | float | str | bool | list[str]


def _number(value: Value) -> str:
    return count(value) if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _flag(words: str) -> Callable[[Value], str]:
    return lambda value: words if value else ""


def _with(template: str) -> Callable[[Value], str]:
    return lambda value: template.format(_number(value))


def _counted(thing: str) -> Callable[[Value], str]:
    return lambda value: plural(value, thing) if isinstance(value, int) else f"{_number(value)} {thing}s"


# In this order; what is not named here follows as "key value".
WORDS: dict[str, Callable[[Value], str]] = {
    "target": str,
    "target_name": _with("the first address of {}"),
    "address_family": lambda value: {"ipv4": "IPv4", "ipv6": "IPv6"}.get(str(value), str(value)),
    "embedded": _flag("embedded server"),
    "mode": str,
    "service": str,
    "connections": _counted("connection"),
    "in_flight": _with("{} at a time"),
    "attempts": lambda value: _counted("attempt")(value) if value else "",
    "ramp_per_s": _with("{} connects/s"),
    "rate_per_s": _with("{}/s"),
    "gaps_s": lambda value: f"rests of {str(value).replace(',', ', ')} s",
    "idle_s": _with("a rest of {} s"),
    "most_lost": lambda value: f"until {_number(value)} were asked in vain" if value else "",
    "trickle_per_s": _with("{} requests/s"),
    "churn_rate_per_s": _with("{} visitors/s"),
    "arrivals": lambda value: f"{value} arrivals",
    "size": lambda value: _counted("byte")(value) if value else "",
    "size_bytes": lambda value: _counted("byte")(value) if value else "",
    "http": _with("GET {}"),
    "request": _with("request {}"),
    "request_bytes": lambda value: f"… of {_counted('byte')(value)}",
    "until": _with("until {}"),
    "reply_bytes": lambda value: f"replies of {_counted('byte')(value)}",
    "until_close": _flag("until the server closes"),
    "depth": lambda value: "" if value == 1 else f"depth {_number(value)}",
    "duration_s": _with("{} s"),
    "timeout_s": lambda value: f"timeout {_number(value)} s" if value else "the kernel's timeout",
    "backlog_asked": _with("backlog {}"),
    "accept_delay_s": lambda value: f"{_number(value)} s between accepts" if value else "",
    "pause_s": _with("a pause of {} s"),
    "pause_every_s": _with("every {} s"),
    "reset": _flag("closed by RST"),
    "close": lambda value: "closed by RST" if value == "rst" else "",
    "first_close": lambda value: "the server closes first" if value == "server" else "",
    "server_processes": lambda value: "" if value == 1 else f"{_number(value)} server processes",
    "hosts": _counted("host"),
    "processes": lambda value: "" if value == 1 else f"{_number(value)} client processes",
    "probe": _flag("with probes"),
    "port_beside": lambda value: f"port {value} beside",
    "sources": lambda value: f"{len(value)} source addresses" if isinstance(value, list) and len(value) > 1 else "",
}


def asked(run: RunResult) -> list[str]:
    """The parts of the line, without the command. Entries that are None, False or an empty list are left out."""
    config = {key: value for key, value in run.config.items() if value is not None and value is not False}
    if config.get("in_flight") == config.get("connections"):
        config.pop("in_flight", None)  # all at once goes without saying
    named = [say(config[key]) for key, say in WORDS.items() if key in config]
    return [clean(part) for part in [*named, *(_other(k, v) for k, v in config.items() if k not in WORDS)] if part]


def _other(key: str, value: Value) -> str:
    words = key.replace("_", " ")
    if value is True:
        return words
    if isinstance(value, list):
        return f"{words} {', '.join(value)}" if value else ""
    return f"{words} {_number(value)}" if value != "" else ""
