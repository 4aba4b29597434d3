"""Both ends of a run in one record: the client's, as `estab.api` made it, and the server's, seen in its namespace.

Pure, but for asking the judge, who is pure too.
"""

from __future__ import annotations

from bisect import bisect_right

from estab.diagnose import judge
from estab.lab.stage.server import Moment, ServerRun, ServerSpec
from estab.load.serving import Service
from estab.observe import ghosts
from estab.records import RunResult, TimelinePoint


def joined(
    run: RunResult, began_s: float, established: frozenset[bytes] | None, what: ServerSpec, seen: ServerRun
) -> RunResult:
    """The run with its server's end, judged anew. `began_s`: when its timeline began, monotonic."""
    backlog = getattr(what, "backlog", None)
    config = dict(run.config)
    if backlog is not None:
        config["backlog_asked"] = backlog
    if isinstance(what, Service):
        config["accept_delay_s"] = what.accept_delay_s
    both = None
    if established is not None and seen.established is not None:
        both = ghosts.match(established, seen.established)
    whole = run.replace(
        config=config,
        server=seen.server,
        funnel=run.funnel.replace(accepted=_accepted(run, seen.accepted)),
        failures=sorted([*run.failures, *seen.failures], key=lambda failure: -failure.count),
        timeline=_timeline(run.timeline, began_s, seen.moments),
        ghosts=both,
    )
    return whole.replace(diagnosis=judge(whole))


def _accepted(run: RunResult, accepted: int | None) -> int | None:
    """What the server accepted of the load: a late connect and the probe by size connected as well."""
    if accepted is not None and run.late_connect is not None and run.late_connect.errno is None:
        accepted -= 1
    probe = run.size_probe
    if probe is None or accepted is None:
        return accepted
    return accepted - (1 if probe.full_acknowledged is None else 2)


def _timeline(points: list[TimelinePoint], began_s: float, moments: list[Moment]) -> list[TimelinePoint]:
    """Each point with what the server's end showed last at that time."""
    times = [at for at, _, _ in moments]
    whole = []
    for point in points:
        place = bisect_right(times, began_s + point.t_s) - 1
        if place < 0:
            whole.append(point)
            continue
        _, sample, accepted = moments[place]
        whole.append(point.with_server(sample).replace(accepted=accepted))
    return whole
