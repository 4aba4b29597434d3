"""What a run's failure looks like where there is no terminal: plain text for an assertion's message. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill

from estab.records import RunResult
from estab.report.asked import asked
from estab.report.words import clean, count, seconds
from estab.words import plural

WIDTH = 100


def faults(run: RunResult) -> list[str]:
    """What went wrong, a line each; empty where nothing did."""
    lines = [
        f"{plural(failure.count, 'failure')}: {failure.kind}{_example(failure.example)}" for failure in run.failures
    ]
    lines += [f"worker process lost: {worker.role} {worker.pid}, {worker.lost}" for worker in run.lost_workers]
    if run.diagnosis is not None and run.diagnosis.cause is not None:
        lines.append(f"cause: {run.diagnosis.cause}, at the {run.diagnosis.side}")
    if run.interrupted:
        lines.append("the run was interrupted")
    return [clean(line) for line in lines]


def _example(text: str | None) -> str:
    return f", as {text}" if text else ""


def failure_text(run: RunResult, lines: Sequence[str]) -> str:
    """The whole message: what was asked, what went wrong, the verdict with its evidence, what to do and what not."""
    return "\n".join(_lines(run, lines))


def _lines(run: RunResult, lines: Sequence[str]) -> Iterator[str]:
    yield f"estab {clean(run.command)}: {'; '.join(asked(run))}"
    funnel = run.funnel
    accepted = "" if funnel.accepted is None else f", {count(funnel.accepted)} accepted"
    yield f"{count(funnel.connected)} of {count(funnel.attempted)} connected{accepted}"
    connect = run.latency.connect_us
    if connect is not None and connect.max is not None:
        yield f"the slowest connect took {seconds(connect.max / 1e6)}"
    yield from (f"  {line}" for line in lines)
    diagnosis = run.diagnosis
    if diagnosis is None:
        return
    yield ""
    yield _wrapped(diagnosis.summary)
    named = diagnosis.accused
    if named is None:
        return
    yield from (_wrapped(f"{clean(fact.text)} [{clean(fact.source)}]", "  - ") for fact in named.evidence if fact.text)
    for title, works in (("What to do:", True), ("What does nothing:", False)):
        remedies = [remedy for remedy in named.remedies if remedy.works is works]
        if remedies:
            yield title
        for remedy in remedies:
            yield f"  {clean(remedy.command)}"
            yield _wrapped(remedy.why, "      ")


def _wrapped(text: str, indent: str = "") -> str:
    return fill(clean(text), WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent), break_on_hyphens=False)
