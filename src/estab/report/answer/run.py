"""A run on one screen: one or two lines where all was well, else the verdict, how far connections came, what to do."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.text import Text

from estab.kernel.rules import accept_queue
from estab.records import Diagnosis, Percentiles, RunResult
from estab.report.answer.shape import (
    STYLES,
    WIDTH,
    Row,
    cut,
    headline,
    joined,
    mark,
    plain_headline,
    rows,
    side_by_side,
)
from estab.report.answer.verdict import advice, evidence, others, titled, tone
from estab.report.asked import asked
from estab.report.idle_gaps import around_border, gap_table, rest_time
from estab.report.layout import Glyphs, bar, glyphs_for, indented
from estab.report.measured import cpu_bound, interrupted, stopped
from estab.report.probes import probe_rows
from estab.report.trimmed import print_trimmed
from estab.report.words import clean, count, seconds
from estab.words import places, plural

_BAR = 8
_HINT = "-v shows all"


def answer_run(run: RunResult, console: Console, hint: str = "") -> None:
    """Prints the answer of a run. `hint` says where all of it is, if not under -v alone."""
    print_trimmed(console, *_parts(run, glyphs_for(console), hint or _HINT))


def answer_diagnosis(diagnosis: Diagnosis, title: str, console: Console) -> None:
    """Prints a verdict that belongs to no run; `title` says what was judged."""
    glyphs = glyphs_for(console)
    parts = [
        headline(tone(diagnosis, failed=False), *titled(diagnosis), glyphs),
        *rows(_verdict(diagnosis, glyphs, ("Of", Text(cut(title, 1, glyphs), style="dim")), _HINT)),
    ]
    print_trimmed(console, *parts)


def _verdict(diagnosis: Diagnosis, glyphs: Glyphs, source: Row, hint: str) -> Iterator[Row]:
    yield from evidence(diagnosis, glyphs)
    yield from advice(diagnosis, glyphs)
    yield source
    yield others(diagnosis, hint)


def brief_run(run: RunResult, glyphs: Glyphs) -> str:
    """The answer of a run in one line, for a chat or a pager."""
    if run.diagnosis is None or (_is_well(run, run.diagnosis) and not _used_nothing(run)):
        return f"{glyphs.good} {clean(run.command)}: {', '.join(achieved(run, glyphs))}"
    return brief_diagnosis(run.diagnosis, glyphs, failed=_failed(run))


def brief_diagnosis(diagnosis: Diagnosis, glyphs: Glyphs, *, failed: bool = False) -> str:
    """A verdict in one line, with the first thing to do."""
    name, text = titled(diagnosis)
    suspect = diagnosis.accused
    works = [remedy.command for remedy in suspect.remedies if remedy.works] if suspect else []
    do = f" Do: {clean(works[0])}" if works else ""
    return plain_headline(tone(diagnosis, failed=failed), name, f"{text}{do}", glyphs)


def _is_well(run: RunResult, diagnosis: Diagnosis) -> bool:
    return not (run.lost_workers or run.stopped) and tone(diagnosis, failed=_failed(run)) == "good"


def _failed(run: RunResult) -> bool:
    """Whether anything failed, or may have: of a program that ended badly its connects may not have been seen."""
    return (
        bool(run.failures)
        or (run.probes is not None and run.probes.failed > 0)
        or (_used_nothing(run) and run.program is not None and run.program.failed_unseen)
    )


def _used_nothing(run: RunResult) -> bool:
    """Whether it is a program that was not seen to connect: then there are no figures."""
    return run.program is not None and not run.funnel.attempted


def _parts(run: RunResult, glyphs: Glyphs, hint: str) -> Iterator[RenderableType]:
    if run.interrupted:
        yield interrupted(run)
    if run.stopped:
        yield stopped(run)
    diagnosis = run.diagnosis
    if diagnosis is None:
        yield headline("unsure", "not judged", "estab diagnose judges a recorded run", glyphs)
        yield from _figures(run, glyphs)
        return
    if _is_well(run, diagnosis) and run.funnel.attempted:
        yield from _well(run, diagnosis, glyphs)
        return
    yield headline(tone(diagnosis, failed=_failed(run)), *titled(diagnosis), glyphs)
    if _used_nothing(run) and tone(diagnosis, failed=False) == "good":
        return
    yield from _figures(run, glyphs)
    yield from rows(_probed(run, glyphs))
    yield from rows(_verdict(diagnosis, glyphs, _ran(run, glyphs), hint))


def _probed(run: RunResult, glyphs: Glyphs) -> Iterator[Row]:
    """What each probe told."""
    for number, (name, text) in enumerate(probe_rows(run, glyphs.micro)):
        yield "" if number else "Probed", Text.assemble((name, "bold"), f": {text}")


# All was well ------------------------------------------------------------------------------------------------------


def _well(run: RunResult, diagnosis: Diagnosis, glyphs: Glyphs) -> Iterator[RenderableType]:
    """The figures in one line, what was run in the next, and what could not be seen."""
    first, *more = side_by_side([Text(part) for part in achieved(run, glyphs)], WIDTH - 2)
    yield Text.assemble((f"{mark('good', glyphs)} ", STYLES["good"]), first)
    yield from (indented(each) for each in more)
    bound = [f"CPU bound: {text}" for text in cpu_bound(run)]
    yield indented(Text(joined([*bound, _command(run), *_asked(run, glyphs)], 1, glyphs, WIDTH - 2), style="dim"))
    if run.idle_gaps:
        yield indented(gap_table(around_border(run.idle_gaps)))
    yield from rows(_probed(run, glyphs))
    if unseen := clean(diagnosis.summary).partition("no limit was met. ")[2]:
        yield indented(Text(unseen, style="dim"))


def achieved(run: RunResult, glyphs: Glyphs) -> list[str]:
    """The figures of a run for which it is made, most wanted first."""
    funnel, requests = run.funnel, run.requests
    parts = []
    if run.command == "churn" and run.load_s > 0:
        parts.append(f"{count(funnel.connected / run.load_s)} connects/s")
    elif run.idle_gaps:
        parts.append(f"answered after {rest_time(max(gap.gap_s for gap in run.idle_gaps))} of rest")
    elif requests is not None and requests.per_second is not None:
        parts.append(f"{count(requests.per_second)} requests/s")
    asked_for = run.latency.request_us if run.command == "bench" else None
    latency = asked_for or run.latency.connect_us
    if latency is not None and latency.count:
        parts += _latency(latency, "" if asked_for else "connect ", glyphs)
    whole = "all " if funnel.connected == funnel.attempted > 1 else f"{count(funnel.connected)} of "
    return [*parts, f"{whole}{count(funnel.attempted)}{_seen(run)} connected", "no limit met"]


def _seen(run: RunResult) -> str:
    """That there were more connects than are counted, where it is so."""
    return " that were seen" if run.program is not None and run.program.lost_events else ""


def _latency(latency: Percentiles, of: str, glyphs: Glyphs) -> list[str]:
    known = [("p50", latency.p50), ("p99", latency.p99)]
    said = [f"{name} {seconds(value / 1e6, glyphs.micro)}" for name, value in known if value is not None]
    return [of + said[0], *said[1:]] if said else []


def _command(run: RunResult) -> str:
    target = clean(str(run.config.get("target") or ""))
    if run.program is None:
        return f"{clean(run.command)} {target}".strip()
    return f"{clean(run.command)} {clean(run.program.name)}" + (f" at {target}" if target else "")


def _asked(run: RunResult, glyphs: Glyphs) -> list[str]:
    """What was asked beside the target, and how long it took."""
    return [
        *asked(run.replace(config={**run.config, "target": None, "program": None})),
        f"took {seconds(run.elapsed_s, glyphs.micro)}",
    ]


# Something failed --------------------------------------------------------------------------------------------------


def _figures(run: RunResult, glyphs: Glyphs) -> Iterator[RenderableType]:
    """What it did in numbers, then the funnel."""
    costs = joined([*_costs(run, glyphs), *([] if run.cause else _suffered(run))], 2, glyphs, WIDTH - 3)
    if costs:
        yield indented(Text(costs))
    yield from (indented(line) for line in side_by_side(list(_funnel(run, glyphs)), WIDTH - 2))
    if run.idle_gaps:
        yield indented(gap_table(around_border(run.idle_gaps)))


def _ran(run: RunResult, glyphs: Glyphs) -> Row:
    return "Run", Text(joined([_command(run), *_asked(run, glyphs)], 1, glyphs), style="dim")


def _costs(run: RunResult, glyphs: Glyphs) -> Iterator[str]:
    for failure in sorted(run.failures, key=lambda each: -each.count):
        since = "" if failure.first_s is None else f", first at {seconds(failure.first_s, glyphs.micro)}"
        yield f"{count(failure.count)} {clean(failure.kind.words)}{since}"
    requests = run.requests
    if requests is not None and requests.per_second is not None and requests.count and not run.idle_gaps:
        yield f"{count(requests.per_second)} requests/s"
    for worker in run.lost_workers:
        yield f"{worker.role} {worker.pid} lost: {clean(worker.lost or '')}"


def _suffered(run: RunResult) -> Iterator[str]:
    """What connections suffered without a failure, and their queue; a cause that is named says this itself."""
    if run.retransmitted:
        yield f"{count(run.retransmitted)} of {plural(run.funnel.attempted, 'connect')} sent their SYN again"
    if run.ghosts is not None and run.ghosts.count:
        yield f"{plural(run.ghosts.count, 'connection exists', 'connections exist')} only at the client"
    listener = run.server.listener
    if listener is not None and run.server.observed:
        yield f"accept queue {places(listener.worst_depth, accept_queue.room(listener.limit))} at worst"


def _funnel(run: RunResult, glyphs: Glyphs) -> Iterator[Text]:
    """How far connections came, a small bar each; the last stage only where it says more than the one before."""
    funnel = run.funnel
    stages: list[tuple[str, int | None]] = [
        ("attempted", funnel.attempted),
        ("connected", funnel.connected),
        ("accepted", funnel.accepted),
    ]
    if run.requests is not None:
        stages.append(("first byte", funnel.first_byte))
    if funnel.completed != funnel.connected:
        stages.append(("completed", funnel.completed))
    if not funnel.attempted and funnel.accepted:  # a program that only serves
        stages = [("accepted", funnel.accepted)]
    least = "at least " if _seen(run) else ""
    for name, value in stages:
        if value is None:
            yield Text(f"{name} not seen", style="dim")
            continue
        share = value / funnel.attempted if funnel.attempted else 0.0
        yield Text.assemble(f"{name} {least}{count(value)}", (f" {bar(share, _BAR, glyphs)}".rstrip(), "cyan"))
