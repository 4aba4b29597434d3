"""The command that repeats a run, from what its record says was asked. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from estab.records import RunResult
from estab.report.words import clean

_LOW_NOFILE = 1000  # below, the limit is taken for the one under test
_DEFAULT_IN_FLIGHT = 1000  # of hold
Value = int | float | str | bool | list[str] | None


def command(run: RunResult) -> str:
    """As it can be pasted into a shell. What the record does not hold, such as a server's own program, is not in it."""
    words = ["estab", run.command, *_options(run)]
    line = shlex.join(clean(word) for word in words)
    nofile = run.client.before.nofile_soft if run.client.before else None
    return f"(ulimit -n {nofile}; {line})" if nofile is not None and nofile < _LOW_NOFILE else line


def _options(run: RunResult) -> Iterator[str]:
    config = run.config
    if run.command == "serve":
        yield from _serve(config)
        return
    embedded = config.get("embedded") is True
    if not embedded and config.get("target"):
        yield str(config["target"])
    yield from _asked(run.command, config)
    if embedded:
        yield from _said(config, ("service", "--serve", "echo"), ("backlog_asked", "--backlog", 4096))
        yield from _stalls(config)
    if config.get("timeout_s") is not None:
        yield from ("--timeout", _plain(config["timeout_s"]))
    sources = config.get("sources")
    if isinstance(sources, list) and not str(config.get("target", "")).startswith("127."):
        for source in sources:
            yield from ("--source", source)
    if config.get("probe") is True:
        yield "--probe"
    yield from _said(config, ("port_beside", "--port-beside", None))
    if config.get("server_via"):
        yield from ("--server-via", str(config["server_via"]))


def _asked(name: str, config: dict[str, Value]) -> Iterator[str]:
    """The options that each load has of its own."""
    if name == "probe":
        yield from _exchange(config)
        yield from _time(config, "idle_s", "--idle")
        return
    if name == "hold":
        lasts = ("gaps_s", "--gaps", None) if config.get("gaps_s") else ("duration_s", "-d", None)
        yield from _said(config, ("connections", "-n", None), lasts, ("ramp_per_s", "--ramp", None))
        at_once = config.get("in_flight")
        if isinstance(at_once, int) and at_once != min(_DEFAULT_IN_FLIGHT, _int(config.get("connections"))):
            yield from ("--in-flight", str(at_once))
        if config.get("reset") is True:
            yield "--reset"
        yield from _said(config, ("trickle_per_s", "--trickle", None))
        yield from _exchange(config)
        yield from _said(config, ("churn_rate_per_s", "--churn-rate", None))
        return
    yield from _said(config, ("connections", "-c", None), ("duration_s", "-d", None))
    if name == "churn":
        yield from _said(config, ("attempts", "-n", 0))
        yield from _exchange(config)
        yield from _said(config, ("close", "--close", "fin"), ("first_close", "--first-close", "client"))
    else:
        yield from _exchange(config)
        yield from _said(config, ("mode", "--mode", "rr"), ("depth", "--depth", 1))
    yield from _said(config, ("rate_per_s", "--rate", None), ("arrivals", "--arrivals", "poisson"))


def _exchange(config: dict[str, Value]) -> Iterator[str]:
    """What is asked. A long request is not in the record."""
    yield from _said(config, ("size_bytes", "-s", None), ("http", "--http", None))
    long = config.get("request_bytes")
    yield from ("--request", "@FILE") if long is not None else _said(config, ("request", "--request", None))
    yield from _said(config, ("until", "--until", None), ("reply_bytes", "--reply-bytes", None))
    if config.get("until_close") is True:
        yield "--until-close"


def _serve(config: dict[str, Value]) -> Iterator[str]:
    yield str(config.get("service", "echo"))
    yield from _said(config, ("target", "--listen", None), ("backlog_asked", "--backlog", None))
    yield from _stalls(config)
    yield from _said(config, ("server_processes", "--processes", 1), ("duration_s", "-d", None))


def _stalls(config: dict[str, Value]) -> Iterator[str]:
    """How a server of ours keeps its clients waiting."""
    yield from _time(config, "accept_delay_s", "--accept-delay")
    yield from _time(config, "pause_s", "--pause")
    yield from _time(config, "pause_every_s", "--pause-every")


def _said(config: dict[str, Value], *wanted: tuple[str, str, Value]) -> Iterator[str]:
    """`option value` of each that was asked for and is not the default."""
    for key, option, default in wanted:
        value = config.get(key)
        if value is not None and value != default and not isinstance(value, bool | list):
            yield from (option, _plain(value))


def _time(config: dict[str, Value], key: str, option: str) -> Iterator[str]:
    value = config.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        yield from (option, f"{value * 1000:g}ms" if value < 1 else f"{value:g}s")


def _plain(value: Value) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0
