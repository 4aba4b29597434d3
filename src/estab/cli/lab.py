"""`estab lab list`, `estab lab run`, `estab lab twin`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from estab.cli.options import DEFAULT_OUTPUT, Output
from estab.cli.show import FAILED, INTERRUPTED, MACHINE, OK, JsonFile, paper, status_line, stoppable
from estab.cli.values import seconds
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.lab.scenario import Parameter as Setting
    from estab.records.lab import LabResult, LabScenario

_YES, _NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


def lab(
    what: Literal["list", "run", "twin"],
    /,
    *names: str,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    full: Annotated[bool, Parameter(negative="")] = False,
    pcap: str | None = None,
    server: str | None = None,
    scale: float = 1.0,
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Reproduce failures in network namespaces: predicted, measured, judged, and each remedy tried.

    `estab lab list` names the scenarios and their settings, `estab lab run NAME…` plays some, `estab lab run all` all.
    As root or not; nothing of the host is changed, and nothing is left behind.

    `estab lab twin FILE` rebuilds the failure that a recorded run (--json FILE) holds, says how near it came, and tries
    each remedy of its verdict.

    Example: estab lab run accept_queue_overflow --set backlog=5 --set rtt=20ms --pcap .

    Parameters
    ----------
    what
        list, run or twin.
    names
        Scenarios to run, or all. For twin: the file of a recorded run.
    set_
        KEY=VALUE, a setting of the scenario; more than one may be given. `estab lab list` shows them.
    full
        Timelines in real time: some scenarios then take minutes.
    pcap
        A directory for captures of both ends (pcapng, with comments).
    server
        A server of your own in place of ours, as "python app.py {port}"; {host} and {port} are filled in. Does it
        survive? Remedies that are settings of our server then change nothing.
    scale
        For twin: times the connections and every bound (backlog, descriptors, ports) alike, as 0.1.
    """
    if what == "twin":
        return _twin(names, scale, output)
    if what == "list":
        return _list(names, output)
    if not names:
        raise UsageError("lab run needs a scenario: estab lab run cookie_reset, or all; estab lab list names them")
    return _run(names, set_ or [], (full, pcap, server), output)


def _list(names: tuple[str, ...], output: Output) -> int:
    from rich.console import Console

    from estab.lab import scenario
    from estab.report.lab import render_list

    rows = []
    for name in names or scenario.names():
        found = scenario.find(name)
        settings = [f"{one.key}={_shown(one)}" for one in scenario.parameters(found)]
        rows.append((name, found.SIDE, found.SYMPTOM, found.SECONDS, scenario.why_not(found), settings))
    if not output.quiet:
        render_list(rows, Console())
    return OK


def _shown(one: Setting) -> str:
    if one.kind == "seconds" and isinstance(one.default, int | float):
        return f"{one.default * 1000:g}ms" if one.default < 1 else f"{one.default:g}s"
    return str(one.default).lower() if one.kind == "bool" else str(one.default)


def _run(names: tuple[str, ...], changes: list[str], how: tuple[bool, str | None, str | None], output: Output) -> int:
    from rich.console import Console

    from estab.lab.run import lab as play
    from estab.report.lab import render_end, render_scenario

    full, pcap, server = how
    settings = _settings(names, changes)
    json_file = JsonFile(output.json)
    console = Console(quiet=output.quiet or output.json == "-")

    with stoppable() as stop, status_line(output) as show:

        def finished(done: LabScenario) -> None:
            show("")
            render_scenario(done, console)

        result = play(
            names, settings=settings, full=full, captures=pcap, command=server, stop=stop, finished=finished,
            told=lambda name, stage: show(f"{name}  ·  {stage}"),
        )  # fmt: skip
    json_file.write(result)
    render_end(result, console)
    sys.stdout.flush()
    return _exit_code(result)


def _exit_code(result: LabResult) -> int:
    if result.interrupted:
        return INTERRUPTED
    found = [one.status for one in result.scenarios]
    if any(one in ("differs", "failed") for one in found):
        return FAILED
    return MACHINE if found and all(one == "cannot_run" for one in found) else OK


def _settings(names: tuple[str, ...], changes: list[str]) -> dict[str, dict[str, Any]]:
    """`--set` as typed values by scenario. Each must know each key that is given."""
    if not changes:
        return {}
    from estab.lab import scenario

    if "all" in names:
        raise UsageError("--set goes with one scenario; leave it out for all")
    return {
        name: dict(_typed(name, scenario.parameters(scenario.find(name)), text) for text in changes) for name in names
    }


def _typed(name: str, known: list[Setting], text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    one = next((one for one in known if one.key == key), None)
    if not equals or one is None:
        there = ", ".join(f"{one.key}={_shown(one)}" for one in known) or "none"
        raise UsageError(f"--set {text!r}: {name} has the settings {there}")
    try:
        return one.field, _value(one.kind, value)
    except ValueError as error:
        raise UsageError(f"--set {text!r}: {error}") from error


def _value(kind: str, text: str) -> Any:
    if kind == "seconds":
        return seconds(text)
    if kind == "bool":
        if text.lower() not in _YES + _NO:
            raise ValueError(f"{text!r} is neither yes nor no")
        return text.lower() in _YES
    if kind == "int":
        return int(text)
    return float(text) if kind == "float" else text


def _twin(names: tuple[str, ...], scale: float, output: Output) -> int:
    """0: the twin showed the recorded cause; 1: it did not."""
    from estab.lab.twin.run import twin
    from estab.report.twin import render_twin

    if len(names) != 1:
        raise UsageError("lab twin needs the file of one recorded run: estab hold ... --json FILE records one")
    json_file = JsonFile(output.json)
    with stoppable() as stop, status_line(output) as show:
        result = twin(names[0], scale=scale, stop=stop, told=lambda stage: show(f"twin  ·  {stage}"))
    json_file.write(result)
    if not output.quiet and output.json != "-":
        render_twin(result, paper())
        sys.stdout.flush()
    if result.interrupted:
        return INTERRUPTED
    return OK if result.same_cause else FAILED
