"""A report as Markdown, to be pasted into an issue or a chat: the verdict first, then figures, remedies, the ledger.

Needs nothing but the core. Whatever a record holds is text: signs that Markdown or HTML would act on are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from estab.records import Diagnosis, Remedy, RunResult
from estab.records.lab import LabResult, LabScenario
from estab.records.twin import TwinResult
from estab.report.asked import asked
from estab.report.html.repeat import command
from estab.report.html.subject import Material, Subject
from estab.report.html.view import facts, failure_rows, figures, latency_rows, leads, suspects, tone_of
from estab.report.markup import code, plain, table
from estab.report.words import clean, count, plural, seconds

_MARKS = {"bad": "🔴", "open": "🟠", "good": "🟢"}


def markdown(material: Material, *, version: str) -> str:
    """The whole report, its last line ended."""
    parts: list[str] = []
    if len(material.subjects) > 1:
        parts += _overview(material.subjects)
    for one in material.subjects:
        parts += _subject(one, heading="##" if len(material.subjects) > 1 else "")
    for title, lab in material.labs:
        parts += _lab(title, lab)
    parts += [f"*{plain(note)}*" for note in material.notes]
    return "\n\n".join([*parts, f"<sub>estab {plain(version)}</sub>"]) + "\n"


def _subject(subject: Subject, heading: str) -> Iterator[str]:
    diagnosis, run = subject.diagnosis, subject.run
    if heading:
        yield f"{heading} {plain(subject.title)}"
    yield _verdict(subject)
    found = diagnosis.accused
    if found is not None and found.evidence:
        facts_said = [
            f"- {plain(one.text or f'{one.field} {one.value}')} ({code(one.source)})" for one in found.evidence
        ]
        yield "\n".join(facts_said)
    if run is not None:
        yield from _run(run)
    yield from _remedies(found.remedies if found else leads(diagnosis))
    if subject.twin is not None:
        yield from _twin(subject.twin)
    yield from _ledger(diagnosis)
    yield _host(subject)
    if run is not None:
        yield f"```sh\n{clean(command(run)).replace('```', '` ` `')}\n```"


def _verdict(subject: Subject) -> str:
    diagnosis = subject.diagnosis
    tone, tag = tone_of(diagnosis, failed=subject.failed)
    where = f", {'on the path' if diagnosis.side == 'path' else f'at the {diagnosis.side}'}" if diagnosis.side else ""
    return f"{_MARKS[tone]} **{plain(tag)}**{where}: {plain(diagnosis.summary)}"


def _run(run: RunResult) -> Iterator[str]:
    yield f"{code(f'estab {run.command}')} {plain(' · '.join(asked(run)))}, {plain(seconds(run.elapsed_s))}" + (
        ", interrupted" if run.interrupted else ""
    )
    yield table([("", False), ("", True), ("", False)], figures(run))
    if run.failures:
        columns = [("phase", False), ("errno", False), ("count", True), ("first at", True), ("example", False)]
        yield table(columns, failure_rows(run))
    if latency_rows(run):
        names = ("count", "p50", "p90", "p99", "p99.9", "max")
        yield table([("latency", False), *((name, True) for name in names)], latency_rows(run))


def _remedies(remedies: Sequence[Remedy]) -> Iterator[str]:
    for title, works in (("What to do", True), ("What does nothing", False)):
        lines = [f"- {code(one.command)}: {plain(one.why)}" for one in remedies if one.works is works]
        if lines:
            yield f"**{title}**\n\n" + "\n".join(lines)


def _twin(twin: TwinResult) -> Iterator[str]:
    named = f"same cause: {plain(twin.cause or 'nothing')}" if twin.same_cause else "another cause; it proves nothing"
    yield f"**Tried on the twin** ({named})"
    if twin.remedies:
        rows = [
            (one.command, twin.before if one.after else "", one.after, one.came.replace("_", " "))
            for one in twin.remedies
        ]
        yield table([("what was changed", False), ("before", False), ("after", False), ("", False)], rows)


def _ledger(diagnosis: Diagnosis) -> Iterator[str]:
    others = [one for one in diagnosis.suspects if one.cause != diagnosis.cause]
    if others:
        rows = [(one["verdict"], one["cause"], one["summary"]) for one in suspects(others)]
        listed = table([("", False), ("suspect", False), ("why", False)], rows)
        yield f"<details><summary>{plural(len(others), 'other suspect')}</summary>\n\n{listed}\n\n</details>"


def _host(subject: Subject) -> str:
    return plain(", ".join(f"{name} {value}" for name, value in facts(subject)))


def _overview(subjects: Sequence[Subject]) -> Iterator[str]:
    rows = []
    for one in subjects:
        tone, tag = tone_of(one.diagnosis, failed=one.failed)
        run = one.run
        shown = (
            [count(run.funnel.attempted), count(run.funnel.connected), count(run.funnel.accepted)]
            if run
            else ["", "", ""]
        )
        rows.append([one.title, f"{_MARKS[tone]} {tag}", *shown])
    columns = [("", False), ("verdict", False), ("attempted", True), ("connected", True), ("accepted", True)]
    yield table(columns, rows)


def _lab(title: str, lab: LabResult) -> Iterator[str]:
    good = sum(one.status == "as_predicted" for one in lab.scenarios)
    yield f"**estab lab**, {plain(title)}: {good} of {plural(len(lab.scenarios), 'scenario')} as predicted"
    for one in lab.scenarios:
        yield from _scenario(one)


def _scenario(one: LabScenario) -> Iterator[str]:
    yield f"**{plain(one.name)}**: {one.status.replace('_', ' ')}. {plain(one.symptom)}"
    if one.why:
        yield plain(one.why)
    if one.rows:
        rows = [(row.what, row.predicted, row.measured, "" if row.agrees else "differs") for row in one.rows]
        yield table([("", False), ("predicted", True), ("measured", True), ("", False)], rows)
    if one.remedies:
        marks = {True: "works", False: "does nothing", None: "not tried"}
        yield "\n".join(f"- {marks[r.works]}: {code(r.command)} {plain(r.text)}" for r in one.remedies)
