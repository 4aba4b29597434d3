"""`hold --find-ceiling` and `bench --find-rate`: the search, told attempt by attempt, and its result."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from estab.cli.options import LoadFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, paper, progress_on, stoppable, wiped
from estab.cli.values import seconds
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.records import Record
    from estab.records.search import Ceiling, HighestRate

_BOUND = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)\s*<=?\s*(.+)|max\s*<=?\s*(.+)")


def bound(text: str) -> tuple[float, float]:
    """`p99<5ms` as percentile and seconds; `max<1s` is p100. Raises UsageError."""
    match = _BOUND.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--find-rate is {text!r}; write a bound, as p99<5ms, p99.9<20ms or max<1s")
    try:
        return float(match[1] or 100), seconds(match[2] or match[3])
    except ValueError as error:
        raise UsageError(f"--find-rate is {text!r}: {error}") from error


def find_ceiling(target: str | None, most: int | None, options: LoadFlags) -> int:
    """Searches, shows, and gives the exit code: 0 when the number is sure."""
    from estab.api.ceiling import find_ceiling as run
    from estab.report.search import ceiling_step, render_ceiling

    found: Ceiling = _search(run, target, options, ceiling_step, most or 0, most=most)
    _show(found, options, render_ceiling)
    return _code(found.interrupted, found.confirmed or (found.ceiling is not None and not found.met))


def find_rate(target: str | None, text: str, connections: int, options: LoadFlags, **asked: Any) -> int:
    """Searches, shows, and gives the exit code: 0 when the rate is sure."""
    from estab.api.highest_rate import find_rate as run
    from estab.report.search import rate_step, render_rate

    percentile, bound_s = bound(text)
    found: HighestRate = _search(
        run, target, options, rate_step, connections,
        percentile=percentile, bound_s=bound_s, connections=connections, **asked,
    )  # fmt: skip
    _show(found, options, render_rate)
    return _code(found.interrupted, found.confirmed)


def _code(interrupted: bool, sure: bool) -> int:
    return INTERRUPTED if interrupted else OK if sure else FAILED


def _search(
    run: Callable[..., Any],
    target: str | None,
    options: LoadFlags,
    said: Callable[[Any], str],
    wanted: int,
    **asked: Any,
) -> Any:
    client, output = options.client, options.output
    JsonFile(output.json)  # no search is lost to a path that can't be written
    if client.repeat != 1:
        raise UsageError("a search repeats by itself; leave out --repeat")
    if client.server_via is not None:
        raise UsageError("a search judges from this side; leave out --server-via")
    if client.cluster is not None:
        raise UsageError("a search is this host's alone; leave out --cluster, and run the load there at a few sizes")
    with stoppable() as stop, progress_on(output, wanted) as progress:

        def stepped(step: Any) -> None:
            if not output.quiet and sys.stderr.isatty():
                sys.stderr.write(f"{wiped()}  {said(step)}\n")

        return run(
            target,
            timeout_s=client.timeout,
            sources=tuple(client.source or ()),
            workers=client.processes,
            service=options.embedded.service(target),
            stop=stop,
            progress=progress,
            stepped=stepped,
            **asked,
        )


def _show(found: Record, options: LoadFlags, render: Callable[[Any, Any], None]) -> None:
    output = options.output
    JsonFile(output.json).write(found)
    if not output.quiet and output.json != "-":
        render(found, paper())
        sys.stdout.flush()
