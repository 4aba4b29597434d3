"""A report as Markdown, to be pasted into an issue or a chat: the verdict first, then figures, remedies, the ledger.

Needs nothing but the core. Whatever a record holds is text: signs that Markdown or HTML would act on are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from estab.records import Diagnosis, Episodes, Remedy, RunResult
from estab.records.lab import LabResult, LabScenario
from estab.records.twin import TwinResult
from estab.report import recorded
from estab.report.asked import asked
from estab.report.episodes import basis
from estab.report.html.repeat import command
from estab.report.html.subject import Material, PageSubject
from estab.report.html.view import facts, failure_rows, figures, latency_rows, suspects, tone_of
from estab.report.idle_gaps import HEADER, gap_rows
from estab.report.markup import code, plain, table
from estab.report.probes import HEADER as PROBE_HEADER
from estab.report.probes import probe_rows
from estab.report.verdict import leads
from estab.report.words import clean, count, seconds
from estab.words import plural

_MARKS = {"bad": "🔴", "open": "🟠", "good": "🟢"}


def markdown(material: Material, *, version: str) -> str:
    """The whole report, its last line ended."""
    parts: list[str] = []
    if len(material.subjects) > 1:
        parts += _overview(material.subjects)
    for subject in material.subjects:
        parts += _subject(subject, heading="##" if len(material.subjects) > 1 else "")
    for title, lab in material.labs:
        parts += _lab(title, lab)
    parts += [f"*{plain(note)}*" for note in material.notes]
    return "\n\n".join([*parts, f"<sub>estab {plain(version)}</sub>"]) + "\n"


def _subject(subject: PageSubject, heading: str) -> Iterator[str]:
    diagnosis, run = subject.diagnosis, subject.run
    if heading:
        yield f"{heading} {plain(subject.title)}"
    yield _verdict(subject)
    suspect = diagnosis.accused
    if suspect is not None and suspect.evidence:
        facts_said = [
            f"- {plain(fact.text or f'{fact.field} {fact.value}')} ({code(fact.source)})" for fact in suspect.evidence
        ]
        yield "\n".join(facts_said)
    if run is not None:
        yield from _run(run)
    if subject.episodes is not None and subject.episodes.episodes:
        yield from _episodes(subject.episodes)
    yield from _remedies(suspect.remedies if suspect else leads(diagnosis))
    if subject.twin is not None:
        yield from _twin(subject.twin)
    yield from _ledger(diagnosis)
    yield _host(subject)
    if run is not None:
        yield f"```sh\n{clean(command(run)).replace('```', '` ` `')}\n```"


def _verdict(subject: PageSubject) -> str:
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
        columns = [("phase", False), ("why", False), ("count", True), ("first at", True), ("example", False)]
        yield table(columns, failure_rows(run))
    if run.idle_gaps:
        yield table(HEADER, gap_rows(run.idle_gaps))
    if run.probes is not None:
        yield table(PROBE_HEADER, [list(row) for row in probe_rows(run)])
    if latency_rows(run):
        names = ("count", "p50", "p90", "p99", "p99.9", "max")
        yield table([("latency", False), *((name, True) for name in names)], latency_rows(run))


def _episodes(recording: Episodes) -> Iterator[str]:
    listed = recorded.listed(recording)
    yield f"**{plain(recorded.heading(recording))}** ({plain(basis(recording))})"
    yield table(listed["columns"], listed["rows"])


def _remedies(remedies: Sequence[Remedy]) -> Iterator[str]:
    for title, works in (("What to do", True), ("What does nothing", False)):
        lines = [f"- {code(remedy.command)}: {plain(remedy.why)}" for remedy in remedies if remedy.works is works]
        if lines:
            yield f"**{title}**\n\n" + "\n".join(lines)


def _twin(twin: TwinResult) -> Iterator[str]:
    named = f"same cause: {plain(twin.cause or 'nothing')}" if twin.same_cause else "another cause; it proves nothing"
    yield f"**Tried on the twin** ({named})"
    if twin.remedies:
        rows = [
            (remedy.command, twin.before if remedy.after else "", remedy.after, remedy.came.replace("_", " "))
            for remedy in twin.remedies
        ]
        yield table([("what was changed", False), ("before", False), ("after", False), ("", False)], rows)


def _ledger(diagnosis: Diagnosis) -> Iterator[str]:
    others = [suspect for suspect in diagnosis.suspects if suspect.cause != diagnosis.cause]
    if others:
        rows = [(line["verdict"], line["cause"], line["summary"]) for line in suspects(others)]
        listed = table([("", False), ("suspect", False), ("why", False)], rows)
        yield f"<details><summary>{plural(len(others), 'other suspect')}</summary>\n\n{listed}\n\n</details>"


def _host(subject: PageSubject) -> str:
    return plain(", ".join(f"{name} {value}" for name, value in facts(subject)))


def _overview(subjects: Sequence[PageSubject]) -> Iterator[str]:
    rows = []
    for subject in subjects:
        tone, tag = tone_of(subject.diagnosis, failed=subject.failed)
        run = subject.run
        shown = (
            [count(run.funnel.attempted), count(run.funnel.connected), count(run.funnel.accepted)]
            if run
            else ["", "", ""]
        )
        rows.append([subject.title, f"{_MARKS[tone]} {tag}", *shown])
    columns = [("", False), ("verdict", False), ("attempted", True), ("connected", True), ("accepted", True)]
    yield table(columns, rows)


def _lab(title: str, lab: LabResult) -> Iterator[str]:
    good = sum(scenario.status == "as_predicted" for scenario in lab.scenarios)
    yield f"**estab lab**, {plain(title)}: {good} of {plural(len(lab.scenarios), 'scenario')} as predicted"
    for scenario in lab.scenarios:
        yield from _scenario(scenario)


def _scenario(scenario: LabScenario) -> Iterator[str]:
    yield f"**{plain(scenario.name)}**: {scenario.status.replace('_', ' ')}. {plain(scenario.symptom)}"
    if scenario.why:
        yield plain(scenario.why)
    if scenario.rows:
        rows = [(row.what, row.predicted, row.measured, "" if row.agrees else "differs") for row in scenario.rows]
        yield table([("", False), ("predicted", True), ("measured", True), ("", False)], rows)
    if scenario.remedies:
        marks = {True: "works", False: "does nothing", None: "not tried"}
        yield "\n".join(f"- {marks[r.works]}: {code(r.command)} {plain(r.text)}" for r in scenario.remedies)
