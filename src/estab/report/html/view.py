"""What the page says of one run in words: verdict, figures, remedies, ledger, twin, host. Plain values for a template.

Nothing here is HTML: the template escapes every value, whoever wrote it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from estab.kernel.rules import accept_queue
from estab.records import Diagnosis, Remedy, RunResult, Suspect
from estab.records.twin import TwinRemedy, TwinResult
from estab.report import recorded
from estab.report.asked import asked
from estab.report.cause_pages import page_of
from estab.report.episodes import basis
from estab.report.html.repeat import command
from estab.report.html.subject import PageSubject
from estab.report.ledger import ORDER, test
from estab.report.verdict import leads
from estab.report.words import DASH, clean, count, example_of, percent, seconds, size
from estab.words import plural

MICRO = "µs"
_TONES = {"confirmed": "bad", "possible": "open", "ruled_out": "good", "not_observed": ""}
_CAME = {
    "works": ("works", "good"),
    "works_with": ("works with another", "good"),
    "helps": ("helps, does not fix it", "open"),
    "does_nothing": ("does nothing", "open"),
    "looks": ("to look with", ""),
    "not_expressed": ("not in the twin", ""),
    "not_tried": ("not tried", ""),
}


def view(subject: PageSubject) -> dict[str, Any]:
    """All words of a subject."""
    diagnosis, run = subject.diagnosis, subject.run
    suspect = diagnosis.accused
    tone, tag = tone_of(diagnosis, failed=subject.failed)
    remedies = suspect.remedies if suspect else leads(diagnosis)
    others = [other for other in diagnosis.suspects if other is not suspect]
    return {
        "title": clean(subject.title),
        "tone": tone,
        "tag": tag,
        "eyebrow": _eyebrow(subject),
        **_recorded(subject, _verdict(diagnosis, tag)),
        "evidence": [_fact(fact) for fact in suspect.evidence] if suspect else [],
        "command": f"estab {clean(run.command)}" if run else "recorded",
        "asked": " · ".join(asked(run)) if run else basis(subject.episodes) if subject.episodes else "",
        "figures": figures(run) if run else recorded.figures(subject.episodes) if subject.episodes else [],
        "works": [_remedy(remedy) for remedy in remedies if remedy.works],
        "nothing": [_remedy(remedy) for remedy in remedies if not remedy.works],
        "suspects": suspects(others),
        "counted": ", ".join(
            f"{number} {words}"
            for verdict, words, _ in ORDER
            if (number := sum(other.verdict == verdict for other in others))
        ),
        "twin": _twin(subject.twin) if subject.twin else None,
        "facts": facts(subject),
        "repeat": command(run) if run else "",
    }


# The verdict -------------------------------------------------------------------------------------------------------


def tone_of(diagnosis: Diagnosis, *, failed: bool) -> tuple[str, str]:
    """(tone, a few words): bad a cause was found, open something is not explained, good all was well."""
    if diagnosis.cause is not None:
        return "bad", clean(diagnosis.cause)
    if any(suspect.verdict == "possible" for suspect in diagnosis.suspects):
        return "open", "no cause confirmed"
    return ("open", "no known cause") if failed else ("good", "no cause")


def _verdict(diagnosis: Diagnosis, tag: str) -> dict[str, str]:
    """The cause in words, its id and side, one short sentence of this very run, and what the summary says beyond it."""
    page = page_of(diagnosis.cause) if diagnosis.cause is not None else None
    sentence, rest = first_sentence(clean(diagnosis.summary))
    side = "" if diagnosis.side is None else "on the path" if diagnosis.side == "path" else f"at the {diagnosis.side}"
    return {
        "heading": page.title if page is not None else tag[:1].upper() + tag[1:],
        "cause": tag if diagnosis.cause is not None else "",
        "side": side,
        "sentence": sentence,
        "rest": rest,
    }


def _recorded(subject: PageSubject, words: dict[str, str]) -> dict[str, str]:
    """The words; of a recording with several episodes their number comes first, and the cause is but the commonest."""
    recording = subject.episodes
    if recording is None or len(recording.episodes) < 2:
        return words
    return {**words, "heading": recorded.heading(recording), "side": f"{words['side']}, in most intervals"}


def first_sentence(summary: str) -> tuple[str, str]:
    """What stands before the first full stop, colon or semicolon, as a sentence; and the rest, likewise."""
    match = re.search(r"(?<=[^\s.])(?:\.|[:;])\s+", summary)
    if match is None:
        return summary, ""
    rest = summary[match.end() :]
    return summary[: match.start()] + ".", rest[:1].upper() + rest[1:]


def _eyebrow(subject: PageSubject) -> str:
    host, run = subject.host, subject.run
    parts = [clean(host.hostname)] if host.hostname else []
    started = run.started_at_s if run else subject.last.taken_at_s if subject.last else 0.0
    with contextlib.suppress(ValueError, OverflowError, OSError):  # a damaged time is not worth a page
        parts.append(datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M UTC"))
    if run is not None:
        parts.append(f"{'interrupted after' if run.interrupted else 'took'} {seconds(run.elapsed_s, MICRO)}")
    return " · ".join(parts)


def _fact(fact: Any) -> dict[str, str]:
    return {"text": clean(fact.text or f"{fact.field} {fact.value}"), "source": clean(fact.source)}


def _remedy(remedy: Remedy) -> dict[str, str]:
    return {"command": clean(remedy.command), "why": clean(remedy.why)}


def suspects(others: Sequence[Suspect]) -> list[dict[str, str]]:
    """The ledger's lines, by verdict."""
    return [
        {
            "verdict": words,
            "tone": _TONES[verdict],
            "cause": clean(suspect.cause),
            "summary": clean(suspect.summary),
            "test": clean(test(suspect)),
        }
        for verdict, words, _ in ORDER
        for suspect in others
        if suspect.verdict == verdict
    ]


# Figures -----------------------------------------------------------------------------------------------------------


def figures(run: RunResult) -> list[tuple[str, str, str]]:
    """The handful of numbers that a reader looks for first: (name, value, a few words)."""
    funnel = run.funnel
    failed = run.client_failures
    rows = []
    if funnel.attempted:
        of = f"{percent(funnel.connected, funnel.attempted)} of {count(funnel.attempted)}"
        rows.append(("connected", count(funnel.connected), of))
    if funnel.attempted or failed:
        worst = max(
            (failure for failure in run.failures if failure.is_clients),
            key=lambda failure: failure.count,
            default=None,
        )
        rows.append(("failed", count(failed), clean(f"mostly {worst.kind.words}") if worst else "nothing"))
    if run.ghosts is not None and run.ghosts.count:
        rows.append(("ghosts", count(run.ghosts.count), "ESTAB at the client alone"))
    listener = run.server.listener
    if listener is not None:
        rows.append(
            (
                "accept queue",
                count(listener.worst_depth),
                f"at worst, of {plural(accept_queue.room(listener.limit), 'place')}",
            )
        )
    if run.requests is not None and run.requests.per_second is not None:
        unwished = sum(failure.count for failure in run.unwished)
        more = f", {count(unwished)} of status 400 or above" if unwished else ""
        rows.append(("requests", f"{count(run.requests.per_second)}/s", f"{count(run.requests.count)} in all{more}"))
    for name, spread in (("connect", run.latency.connect_us), ("request", run.latency.request_us)):
        if spread is not None and spread.p99 is not None:
            rows.append(
                (f"{name} p99", seconds(spread.p99 / 1e6, MICRO), f"p50 {_us(spread.p50)}, max {_us(spread.max)}")
            )
    return rows


def latency_rows(run: RunResult) -> list[list[str]]:
    """Each latency's percentiles, in words."""
    rows = []
    for name, percentiles in (("connect", run.latency.connect_us), ("request", run.latency.request_us)):
        if percentiles is not None and percentiles.count:
            values = (percentiles.p50, percentiles.p90, percentiles.p99, percentiles.p999, percentiles.max)
            rows.append([name, count(percentiles.count), *(_us(value) for value in values)])
    return rows


def failure_rows(run: RunResult) -> list[list[str]]:
    """Each kind of failure with its first time and example."""
    ordered = sorted(run.failures, key=lambda failure: -failure.count)
    return [
        [
            clean(failure.phase),
            clean(failure.kind.reason),
            count(failure.count),
            seconds(failure.first_s, MICRO),
            example_of(failure),
        ]
        for failure in ordered
    ]


def _us(value: float | None) -> str:
    return seconds(None if value is None else value / 1e6, MICRO)


# The twin ----------------------------------------------------------------------------------------------------------


def _twin(twin: TwinResult) -> dict[str, Any]:
    name = clean(twin.cause or "nothing")
    told = f"The run was rebuilt in network namespaces; there the judge names {name} too."
    if not twin.same_cause:
        told = f"The twin showed {name}, the record {clean(twin.recorded_cause or 'nothing')}: it proves nothing here."
    return {
        "summary": f"{told} {clean(twin.summary)}" if not twin.same_cause else told,
        "before": clean(twin.before),
        "remedies": [_tried(remedy) for remedy in twin.remedies],
        "rows": [[clean(r.what), _number(r.recorded), _number(r.twin), _percent(r.percent)] for r in twin.rows],
    }


def _tried(remedy: TwinRemedy) -> dict[str, str]:
    mark, tone = _CAME[remedy.came]
    if remedy.came == "works" and not remedy.claimed:
        mark, tone = "works, though it should not", "bad"
    elif remedy.came in ("does_nothing", "helps") and remedy.claimed:
        tone = "bad"
    did = f"{remedy.did}, and {remedy.too}" if remedy.too else remedy.did
    left = f"; {remedy.left} is left" if remedy.left else ""
    return {
        "command": clean(remedy.command),
        "did": clean(did),
        "after": clean(remedy.after) + clean(left) if remedy.after else "",
        "mark": mark,
        "tone": tone,
    }


def _number(value: float | None) -> str:
    if value is None:
        return DASH
    return count(value) if value == int(value) else f"{value:,.2f}"


def _percent(value: float | None) -> str:
    if value is None:
        return DASH
    return "none" if value == 0 else f"{value:+.1f}%"


# The host ----------------------------------------------------------------------------------------------------------

_SYSCTLS = (
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_syn_linear_timeouts",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_tw_reuse",
)


def facts(subject: PageSubject) -> list[tuple[str, str]]:
    """What the host is, and the settings that matter most, as they stood before the run."""
    host, run = subject.host, subject.run
    rows = [("host", clean(host.hostname or DASH)), ("kernel", clean(host.kernel or DASH))]
    rows.append(("machine", clean(host.machine or DASH)))
    rows.append(("cores", count(host.cores)))
    rows.append(("memory", size(host.memory_bytes)))
    snapshot = (run.client.before if run else None) or subject.last
    if run is not None:
        rows.append(("engine", clean(run.engine)))
        rows.append(("estab", clean(run.estab_version or DASH)))
        rows.append(("server's end", _server(run)))
    if snapshot is not None:
        rows.append(("open files", f"{count(snapshot.nofile_soft)} of {count(snapshot.nofile_hard)}"))
        for name in _SYSCTLS:
            value = (snapshot.sysctls or {}).get(name)
            if value is not None:
                text = " ".join(map(str, value)) if isinstance(value, list) else value
                rows.append((name.rpartition(".")[2], clean(text)))
    return rows


def _server(run: RunResult) -> str:
    if not run.server.observed:
        return f"not observed: {clean(run.server.why or 'not on this host')}"
    return "embedded" if run.server.embedded else clean(f"seen by {run.server.via}") if run.server.via else "seen here"
