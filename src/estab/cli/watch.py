"""`estab watch`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from estab.cli.live_block import is_dumb, status_line
from estab.cli.options import OUTPUT, OutputFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, console, stoppable
from estab.cli.values import Command, File, Flag, Moment, Netns, Number, Port, Seconds, Whole
from estab.errors import MachineError, UsageError
from estab.kernel.formats.endpoint import is_unix
from estab.load.conductor import Stop
from estab.words import plural

if TYPE_CHECKING:
    from estab.live.arrange import ListenerFilter
    from estab.recording.snapshot_file import RecordingFile
    from estab.records import Snapshot

SHOWN = Group("Which listeners", sort_key=4)


@Parameter(name="*", group=SHOWN)
@dataclass(frozen=True)
class ShownListeners:
    """Which listeners are shown; all are recorded."""

    port: Port | None = None
    """Only listeners on this port."""

    process: Annotated[str | None, Parameter(metavar="NAME")] = None
    """Only listeners of this PID, or of processes with this in their name."""

    sort: Literal["state", "queue", "worst", "growth", "drops", "fds", "process", "service", "listener"] = "state"
    """What to sort the listeners by; with state, the worst come first."""


DEFAULT_SHOWN = ShownListeners()


def watch(
    listener: str | None = None,
    /,
    *,
    interval: Seconds | None = None,
    count: Whole | None = None,
    once: Flag = False,
    netns: Netns | None = None,
    all_netns: Flag = False,
    via: Command | None = None,
    shown: ShownListeners = DEFAULT_SHOWN,
    record: Annotated[File | None, Parameter(group=OUTPUT)] = None,
    replay: File | None = None,
    at: Moment | None = None,
    speed: Number = 1.0,
) -> int:
    """Watch listeners live: how full each accept queue is, how fast it fills, what is dropped, and why.

    Rates, not totals. Enter opens a listener with its history and its verdict, `/` filters, `s` sorts, space pauses,
    `?` lists all keys. Works without root, and says what it can't see. For JSON: --record, or estab observe.

    Example: estab watch --port 8080 --record incident.ndjson

    Parameters
    ----------
    listener
        Only this one: a port, as :8080, a UNIX socket, as unix:/run/app.sock, a PID, or part of a program's name.
        Default: all of TCP, and the UNIX sockets at which something waits or waited.
    interval
        Time between updates (500ms, 5s). Default: 1s.
    count
        Stop after this many updates; 0: go on. Default: 0.
    once
        Print a plain table and exit; its rates are over one interval. Exit code 1 if a limit is met.
    netns
        Look into this network namespace: a name from `ip netns`, a container, a pod (NAMESPACE/NAME), or
        the PID of a process in it.
    all_netns
        All network namespaces: this one, those in `ip netns`, and those of processes.
    via
        Command that prints snapshots ("ssh HOST estab observe --count 0"); {port} in it stands for --port.
    record
        Write every snapshot to this file, one line of JSON each, for `estab diagnose FILE`; compressed where its name
        ends in .gz.
    replay
        Replay a file written by --record or estab observe, or the directory of estab record, with pause, step and
        speed. Of a directory it is an hour: the last one, or that around --at.
    at
        For --replay: begin at this moment (02:13, 02:13:04, 2026-11-26T03:00), in UTC. A time of day is the last one
        before the recording's end.
    speed
        For --replay: how many times as fast.
    """
    address = listener if listener is not None and is_unix(listener) else None
    shown = shown if listener is None else _named(listener, shown)
    if shown.process == "":
        raise UsageError("--process is empty: give a PID, or part of a name")
    asked = {"interval": interval, "count": count, "netns": netns, "all-netns": all_netns or None, "via": via}
    _check_replay(asked, record=record, replay=replay, at=at, speed=speed)
    _check(asked, once=once, port=shown.port)
    from estab.live.arrange import ListenerFilter

    chosen = ListenerFilter(port=shown.port, process=shown.process, address=address)
    if replay is not None:
        return _replay(replay, at, speed, chosen, shown.sort, once=once)
    with Stop() as stop, contextlib.ExitStack() as stack:
        rounds = _rounds(asked, shown.port, stop, _ONCE if once else count or 0)
        # Only what is in order may cost a file what it holds; and a pipe that nobody reads is no stop's to wait for.
        recorder = stack.enter_context(_recorder(record))
        stack.enter_context(stoppable(stop))
        if recorder is not None:
            rounds = recorder.through(rounds)
        if once:
            return _once(rounds, chosen, shown.sort, stop)
        instead = _why_no_view()
        if instead is None:
            from estab.live.screen.run import watch_live

            code = watch_live(
                rounds, stop, chosen, shown.sort, recorder=recorder, interval_s=None if via else interval or 1.0
            )
            return _ended(code, recorder)
        if recorder is None:
            raise MachineError(instead)
        return _ended(_record_only(rounds, recorder, stop), recorder)


def _named(listener: str, shown: ShownListeners) -> ShownListeners:
    """LISTENER as --port or --process says it."""
    from estab.load.target import MOST_PORT, split

    if shown.port is not None or shown.process is not None:
        raise UsageError(f"LISTENER {listener!r} says what --port and --process do: give one of them")
    if is_unix(listener):
        return shown
    if ":" in listener or (listener.isdigit() and int(listener) <= MOST_PORT):
        return replace(shown, port=split(listener, "LISTENER")[1])
    return replace(shown, process=listener)


def _check(asked: Mapping[str, object], *, once: bool, port: int | None) -> None:
    """Raises UsageError for what can't be, and for options that do not go together."""
    from estab.live.sampling import check_interval

    if asked["via"] is not None:
        for name in ("interval", "netns", "all-netns"):
            if asked[name] is not None:
                raise UsageError(f"--{name} is for the command that --via runs; write it there")
    if isinstance(count := asked["count"], int) and (count < 0 or (once and count == 1)):
        raise UsageError(f"--count {count} is too small: {'--once takes two looks' if once else 'it is 0 or more'}")
    if isinstance(interval := asked["interval"], float):
        check_interval(interval)
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"--port is {port}, out of range (1 to 65535)")


def _check_replay(
    asked: Mapping[str, object], *, record: str | None, replay: str | None, at: str | None, speed: float
) -> None:
    """Raises UsageError for what does not go with a replay, and for what is for one alone."""
    if replay is not None:
        for name, value in {**asked, "record": record}.items():
            if value is not None:
                raise UsageError(f"--{name} does not go with --replay; leave one out")
    elif at is not None:
        raise UsageError(f"--at {at} is for --replay; give --replay FILE too, or leave out --at")
    elif speed != 1:
        raise UsageError(f"--speed {speed:g} is for --replay; give --replay FILE too, or leave out --speed")
    if not 0.01 <= speed <= 1000:
        raise UsageError(f"--speed {speed:g} is out of range (0.01 to 1000)")


_ONCE = 2  # looks of --once: rates need two


def _rounds(asked: Mapping[str, object], port: int | None, stop: Stop, count: int) -> Iterator[list[Snapshot]]:
    from estab.api.observe import observe_via
    from estab.live.sampling import Sampler

    if isinstance(via := asked["via"], str):
        return ([snapshot] for snapshot in observe_via(via, port=port, count=count, stop=stop))
    name = asked["netns"]
    sampler = Sampler(netns=str(name) if name is not None else None, all_netns=bool(asked["all-netns"]))
    interval = asked["interval"]
    return sampler.rounds(interval if isinstance(interval, float) else 1.0, stop, count)


@contextlib.contextmanager
def _recorder(path: str | None) -> Iterator[RecordingFile | None]:
    if path is None:
        yield None
        return
    from estab.recording.snapshot_file import RecordingFile

    with RecordingFile(path) as recorder:
        yield recorder


def _replay(path: str, at: str | None, speed: float, chosen: ListenerFilter, by: str, *, once: bool) -> int:
    from estab.live.replay import recorded_around

    rounds, before = recorded_around(path, at)
    if once:
        return _print(rounds if at is None else rounds[: before + 1], chosen, by)
    if (instead := _why_no_view()) is not None:
        raise MachineError(instead)
    from estab.live.screen.run import watch_replay

    return watch_replay(rounds, chosen, by, speed=speed, name=os.path.basename(path), before=before)


def _once(rounds: Iterator[list[Snapshot]], chosen: ListenerFilter, by: str, stop: Stop) -> int:
    """Two looks, for the rates between them; one where a command prints no more."""
    seen = []
    for together in rounds:
        seen.append(together)
        if stop.is_set:
            raise KeyboardInterrupt
        if len(seen) == _ONCE:
            break
    return _print(seen, chosen, by)


def _print(rounds: list[list[Snapshot]], chosen: ListenerFilter, by: str) -> int:
    from estab.live.arrange import arranged
    from estab.live.model import Model
    from estab.live.plain import render

    model = Model()
    for together in rounds:
        model.feed(together)
    assert model.view is not None
    render(model.view, arranged(model.view.rows, chosen, by), console(), by=by)
    sys.stdout.flush()
    return FAILED if model.view.verdict is not None and model.view.verdict.cause else OK


def _why_no_view() -> str | None:
    """Why there can be no live view here, and what to do instead; None where there can."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):  # it draws on standard error
        return "the live view needs a terminal; estab watch --once prints a table, --record FILE keeps what is seen"
    if is_dumb():
        return "this terminal (TERM=dumb) can't show a live view; estab watch --once prints a table"
    try:
        import textual  # noqa: F401
    except ImportError:
        from estab.extras import install_command

        adds = install_command("watch")
        return f"the live view needs textual: {adds} adds it; estab watch --once prints the table without it"
    return None


def _record_only(rounds: Iterator[list[Snapshot]], recorder: RecordingFile, stop: Stop) -> int:
    with status_line(OutputFlags()) as show:
        for _ in rounds:
            if recorder.failed is not None:
                break
            show(f"recording to {recorder.path}: {plural(recorder.snapshots, 'snapshot')}; Ctrl-C ends it")
    return INTERRUPTED if stop.is_set else OK


def _ended(code: int, recorder: RecordingFile | None) -> int:
    if recorder is not None and recorder.failed is not None:
        raise MachineError(recorder.failed)
    return code
