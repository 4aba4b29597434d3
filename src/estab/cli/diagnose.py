"""`estab diagnose`."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from estab.cli import input_file
from estab.cli.input_file import InputFile
from estab.cli.live_block import status_line
from estab.cli.options import DEFAULT_REPORT, OUTPUT, ReportFlags
from estab.cli.show import FAILED, OK, JsonFile, exit_code, show, stoppable
from estab.cli.values import Flag, Moment, Seconds
from estab.errors import UsageError
from estab.kernel.formats.endpoint import is_unix
from estab.words import plural

if TYPE_CHECKING:
    from estab.records import Snapshot
    from estab.report.html.subject import PageSubject


def diagnose(
    *file: InputFile,
    interval: Seconds = 2.0,
    since: Moment | None = None,
    until: Moment | None = None,
    markdown: Annotated[Flag, Parameter(group=OUTPUT)] = False,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Find the cause in recorded runs or snapshots; without FILE, on this host now.

    Snapshots (from `estab record`, `estab observe` or `estab watch --record`) are judged together: by what changed from
    each to the next, which gives episodes with their times, and from the first to the last. A single snapshot tells
    only what one moment can.

    Example: estab hold 10.0.0.5:5000 -n 400 --json run.json; estab diagnose run.json

    Parameters
    ----------
    file
        Recorded runs (estab.run/1) or snapshots (estab.snapshot/1, one per line), also compressed (gzip, zstd), or the
        directory of `estab record`; `-` is standard input. Or a server on this host, to look at now: :PORT, a UNIX
        socket (unix:/path), a PID, or the name of a program (nginx).
    interval
        Without a file: the time between the two looks at this host (500ms, 5s).
    since
        Of a recording: only from this moment on (02:13, 02:13:04, 2026-11-26T03:00), in UTC. A time of day is the last
        one before the recording's end.
    until
        Of a recording: only to this moment. A time of day is the first one after --since.
    markdown
        Print everything as Markdown, for an issue or a chat.
    output.json
        Write the run with its verdict (estab.run/1), the episodes of a recording (estab.episodes/1), or the verdict on
        two snapshots or this host (estab.diagnosis/1), as JSON to this file; `-` is standard output, which then gets
        nothing else.
    """
    if markdown and (output.verbose or output.brief or output.json == "-"):
        raise UsageError("standard output takes one of --markdown, --verbose, --brief and --json -")
    json_file = JsonFile(output.json)
    if file and (len(file) > 1 or _is_file(file[0])):
        subjects = _files(file, since, until)
    elif since is not None or until is not None:
        raise UsageError("--since and --until are for a recording; give its file or directory too")
    else:
        subjects = [_this_host(file[0] if file else None, interval, output)]
    if output.json is not None and len(subjects) > 1:
        raise UsageError(f"--json takes one result and the files hold {len(subjects)}; give them one at a time")
    for subject in subjects:
        json_file.write(subject.run or subject.episodes or subject.diagnosis)
    if markdown:
        _print_markdown(subjects, output)
    else:
        for subject in subjects:
            _print(subject, output)
    return max(map(_code, subjects), default=OK)


def _is_file(name: str) -> bool:
    """Whether it is to be read: it is there, or no listener has such a name."""
    if is_unix(name):
        return False
    url = "://" in name
    return not name or name[0] == "-" or os.path.exists(name) or (not url and bool(re.search(r"[/\s\\]|\.\w*$", name)))


def _this_host(listener: str | None, interval: float, output: ReportFlags) -> PageSubject:
    from estab.api.files import diagnose_host
    from estab.api.local_server import find
    from estab.report.html.subject import PageSubject

    try:
        server = None if listener is None else find(listener)
    except UsageError as error:
        if listener is not None and is_unix(listener):
            raise
        raise UsageError(f"there is no file {listener}; as a listener: {error}") from error
    whose = "this host" if server is None else f"{listener} on this host"
    with stoppable() as stop, status_line(output) as say:
        say(f"looking at {whose} for {interval:g} s")
        diagnosis = diagnose_host(interval, stop, server=server)
    if diagnosis is None:
        raise KeyboardInterrupt
    return PageSubject(f"{whose}, {interval:g} s", diagnosis)


def _files(files: tuple[str, ...], since: str | None, until: str | None) -> list[PageSubject]:
    """Each run by itself, and all snapshots together."""
    from estab.api.files import diagnose as judge_run
    from estab.api.files import read_record
    from estab.recording.reading import is_recording
    from estab.records import RunResult
    from estab.report.html.subject import PageSubject

    input_file.check(files)
    subjects, held, recordings = [], [], [name for name in files if is_recording(name)]
    for name in files:
        if name in recordings:
            continue
        record = read_record(name)
        if isinstance(record, RunResult):
            run = judge_run(record)
            assert run.diagnosis is not None
            subjects.append(PageSubject(name, run.diagnosis, run=run))
        else:
            held += record
    if held or recordings:
        subjects.append(_recording(recordings, held, since, until))
    elif since is not None or until is not None:
        raise UsageError("--since and --until are for snapshots, and the files hold none")
    return subjects


def _recording(recordings: list[str], held: list[Snapshot], since: str | None, until: str | None) -> PageSubject:
    """All snapshots together: those of `recordings`, and those that were read from elsewhere."""
    from estab.api.recordings import judge_recording, read, span_of
    from estab.diagnose.episodes import diagnosis_of
    from estab.report.html.subject import PageSubject

    span = span_of(recordings, held, since, until)
    episodes, last = judge_recording(read(recordings, held, span))
    title = plural(episodes.snapshots, "snapshot")
    several = episodes if episodes.snapshots >= _SEVERAL else None
    return PageSubject(title, diagnosis_of(episodes), last=last, episodes=several)


_SEVERAL = 3  # of two snapshots the whole is the only interval


def _code(subject: PageSubject) -> int:
    """That of the run, though one that was interrupted then is no interruption now."""
    if subject.run is not None:
        return exit_code(subject.run.replace(interrupted=False))
    return FAILED if subject.diagnosis.cause else OK  # each episode names one


def _print(subject: PageSubject, output: ReportFlags) -> None:
    from estab.report.answer.episodes import answer_episodes, brief_episodes
    from estab.report.answer.run import answer_diagnosis, answer_run, brief_diagnosis, brief_run
    from estab.report.episodes import render_episodes
    from estab.report.text import render, render_diagnosis

    diagnosis, title = subject.diagnosis, subject.title
    if subject.run is not None:
        run = subject.run
        show(output, partial(brief_run, run), partial(answer_run, run), partial(render, run))
        return
    if subject.episodes is not None and subject.episodes.episodes:
        recording = subject.episodes
        show(
            output,
            partial(brief_episodes, recording),
            partial(answer_episodes, recording, diagnosis),
            partial(render_episodes, recording),
        )
        return
    show(
        output,
        partial(brief_diagnosis, diagnosis),
        partial(answer_diagnosis, diagnosis, title),
        partial(render_diagnosis, diagnosis, title),
    )


def _print_markdown(subjects: list[PageSubject], output: ReportFlags) -> None:
    if output.shows_report:
        from estab.api.report import markdown
        from estab.report.html.subject import Material

        sys.stdout.buffer.write(markdown(Material(subjects)).encode())  # UTF-8, whatever the locale
        sys.stdout.flush()
