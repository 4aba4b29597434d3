"""Reports: recorded runs, snapshots, labs and twins from files, judged and put into a page, pictures or Markdown."""

from __future__ import annotations

import os
import re
import resource
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from estab import __version__
from estab.api.files import named, parse_record, read_bytes
from estab.api.recordings import judge_recording, span_of
from estab.diagnose import facts, judge
from estab.diagnose.episodes import diagnosis_of
from estab.diagnose.ladder import BothEnds, HoldSpread, ladder
from estab.errors import EstabError, MachineError, ParseError, ReadError, UsageError
from estab.extras import install_command
from estab.kernel.formats.captures import Syn, parse_syns
from estab.kernel.formats.endpoint import is_unix
from estab.kernel.rules.listening import serving
from estab.load import plan
from estab.recording import reading
from estab.recording.reading import close_looks, is_recording
from estab.records import Limits, Listener, RunResult, Snapshot, decode, encode, schema_of
from estab.records.lab import LAB_SCHEMA, LabResult
from estab.records.twin import TWIN_SCHEMA, TwinResult
from estab.report.html.subject import MOST_CLOSE, Capture, Material, PageSubject
from estab.report.html.thinned import Thinned
from estab.report.markdown import markdown as _markdown
from estab.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

_DRAWS_WITH = 16
_MOST_CARRIED = 4_000_000  # bytes of a recording that the page may bring
_DIGITS = re.compile(r"[0-9]+")
Pathname = str | Path


def material(
    files: Sequence[Pathname],
    *,
    captures: Sequence[Pathname] = (),
    since: str | None = None,
    until: str | None = None,
) -> Material:
    """What the files hold: runs (estab.run/1), snapshots (estab.snapshot/1, a line each), labs (estab.lab/1) and twins;
    directories are those of `estab record`, of which `since` and `until` take a part.

    A twin's record (estab.twin/1) belongs to the run of its cause; alone, it is shown with the run that the twin was.
    `-` is standard input. `captures` (pcapng, or pcap) are of the only run, or the first. Raises ReadError with the
    file and the place.
    """
    if not files:
        raise UsageError("a report needs a recorded run: estab hold … --json run.json records one")
    subjects: list[PageSubject] = []
    labs: list[tuple[str, LabResult]] = []
    twins: list[TwinResult] = []
    for name in files:
        if is_recording(str(name)):
            subjects.append(_recording(str(name), since, until))
            continue
        record = _read(Path(name))
        if isinstance(record, LabResult):
            labs.append((Path(name).stem, record))
        elif isinstance(record, TwinResult):
            twins.append(record)
        else:
            subjects.append(record)
    if (since is not None or until is not None) and not any(subject.snapshots for subject in subjects):
        raise UsageError("`since` and `until` are for recordings, and the files hold none")
    subjects = _with_twins(subjects, twins)
    carried, syns = _captured(captures)
    if syns and subjects:
        subjects[0] = replace(subjects[0], syns=syns)
    notes = [*_notes(captures, syns, subjects), *(note for each in subjects for note in _not_drawn(each))]
    return Material(subjects=_by_number(subjects), labs=labs, captures=carried, notes=notes)


def _by_number(subjects: list[PageSubject]) -> list[PageSubject]:
    """Those whose names differ in numbers alone, by these (a shell puts run-10 before run-2); others as given."""
    if len({_DIGITS.sub("0", subject.title) for subject in subjects}) != 1:
        return subjects
    return sorted(subjects, key=lambda subject: [int(digits) for digits in _DIGITS.findall(subject.title)])


def subject(run: RunResult, title: str = "run", *, source: bytes = b"") -> PageSubject:
    """A run as a report shows it: with its verdict, made now where the record has none, and its ladder of limits."""
    diagnosis = run.diagnosis if run.diagnosis is not None else judge(run)
    return PageSubject(title, diagnosis, run=run, limits=_limits(run), source=source or encode(run))


def html(given: Material) -> str:
    """The page. Raises MachineError where the extra is missing, which says how to add it."""
    _need_extra()
    from estab.report.html.page import html as make

    return make(given, version=__version__)


def markdown(given: Material) -> str:
    """The report as Markdown. Needs no extra."""
    return _markdown(given, version=__version__)


def pictures(given: Material, kind: Literal["png", "svg"]) -> Iterator[tuple[str, bytes]]:
    """Each plot as (file name, its bytes). Raises MachineError where the extra is missing."""
    _need_extra()
    from estab.report.html import page, vega

    for name, plot in page.figures(given):
        chart = dict(plot.chart or {})
        data = vega.png(chart, plot.tables) if kind == "png" else vega.svg(chart, plot.tables).encode()
        yield f"{name}.{kind}", data


def write_report(runs: RunResult | Pathname | Sequence[RunResult | Pathname], path: Pathname) -> None:
    """Writes one self-contained HTML page about one run or several, given as records or as files.

    Raises ReadError for a file that cannot be read, MachineError where `estab[report]` is missing, OSError where the
    page cannot be written.
    """
    given = [runs] if isinstance(runs, RunResult | str | Path) else list(runs)
    files = [each for each in given if not isinstance(each, RunResult)]
    made = material(files) if files else Material()
    named = [each for each in given if isinstance(each, RunResult)]
    own = [subject(each, f"run {i}" if len(named) > 1 else "run") for i, each in enumerate(named, 1)]
    Path(path).write_text(html(replace(made, subjects=[*made.subjects, *own])), encoding="utf-8")


def _need_extra() -> None:
    try:
        import altair  # noqa: F401
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        missing = error.name or "a library"
        raise MachineError(
            f"HTML, PNG and SVG need {missing}, which is not installed: {install_command('report')}; `markdown` works"
        ) from error
    # What draws is a runtime of its own, which panics, loudly, where it is refused a descriptor.
    most, used = resource.getrlimit(resource.RLIMIT_NOFILE)[0], len(os.listdir("/proc/self/fd"))
    if most - used < _DRAWS_WITH:
        raise MachineError(
            f"HTML, PNG and SVG need {_DRAWS_WITH} descriptors more: `ulimit -n` is {most} with {used} in use, "
            "raise it; `markdown` works"
        )


# Reading -----------------------------------------------------------------------------------------------------------


def _read(path: Path) -> PageSubject | LabResult | TwinResult:
    data, where = read_bytes(path), named(path)
    try:
        kind = _kind(data)
        if kind == "estab.lab":
            return decode(data, LabResult, LAB_SCHEMA)
        if kind == "estab.twin":
            return decode(data, TwinResult, TWIN_SCHEMA)
    except ReadError as error:
        raise ReadError(f"{where}: {error}") from error
    if kind not in ("estab.run", "estab.snapshot"):
        raise ReadError(
            f"{where}: it holds {kind or 'no schema'}; a report is made of estab.run (as estab hold --json writes), "
            "estab.snapshot, estab.lab or estab.twin"
        )
    record, title = parse_record(data, where), path.stem if where == str(path) else where
    if isinstance(record, RunResult):
        return subject(record, title, source=data)
    return _observed(record, title, data)


def _recording(path: str, since: str | None, until: str | None) -> PageSubject:
    """A recording of any size, read once; a short one is carried by the page."""
    span = span_of([path], [], since, until)
    title = Path(path).name or path
    made = _judged(reading.snapshots([path], span=span), title.removesuffix(".gz").removesuffix(".ndjson"))
    if os.path.isdir(path):
        made = replace(made, close=[list(reading.snapshots([file])) for file in close_looks(path, span)[-MOST_CLOSE:]])
    whole = since is None and until is None and os.path.isfile(path) and os.path.getsize(path) <= _MOST_CARRIED
    return replace(made, source=read_bytes(path)) if whole else made


def _kind(data: bytes) -> str:
    first = next((line for line in data.splitlines() if line.strip()), b"")
    try:
        return schema_of(data).split("/")[0]
    except ReadError:
        return schema_of(first).split("/")[0]  # lines, one record each


def _observed(snapshots: list[Snapshot], title: str, data: bytes) -> PageSubject:
    return replace(_judged(reading.snapshots([], snapshots), title), source=data)


def _judged(snapshots: Iterable[Snapshot], title: str) -> PageSubject:
    """What snapshots show, the oldest first. Drawn is the namespace in which most went wrong, else the first one."""
    thinned = Thinned()
    episodes, _last = judge_recording(thinned.through(snapshots))
    worst = Counter[tuple[str | None, str | None]]()
    for episode in episodes.episodes:
        worst[episode.host, episode.netns] += episode.intervals
    ((host, netns), _intervals), *_others = worst.most_common(1) or [((None, None), 0)]
    named = [space for space in thinned.kept if worst and (space[0], space[2]) == (host, netns)]
    space = next(iter(named or thinned.kept))
    kept = thinned.kept[space]
    return PageSubject(
        title,
        diagnosis_of(episodes),
        snapshots=kept.all(),
        last=kept.newest,
        episodes=episodes,
        other_namespaces=len(thinned.kept) - 1,
    )


def _with_twins(subjects: list[PageSubject], twins: Sequence[TwinResult]) -> list[PageSubject]:
    """Each twin beside the run that it rebuilt; without one, its own run with it."""
    shown = list(subjects)
    for twin in twins:
        name = Path(twin.file).stem
        same = [i for i, other in enumerate(shown) if other.run is not None and other.title == name]
        like = [
            i for i, other in enumerate(shown) if other.run is not None and other.diagnosis.cause == twin.recorded_cause
        ]
        at = next(iter(same or (like if len(like) == 1 else [])), None)
        if at is not None:
            shown[at] = replace(shown[at], twin=twin)
        elif twin.run is not None:
            shown.append(replace(subject(twin.run, f"twin of {name}"), twin=twin))
    return shown


def _not_drawn(shown: PageSubject) -> list[str]:
    if not shown.other_namespaces:
        return []
    name = None if shown.last is None else shown.last.netns
    return [
        f"{shown.title}: the plots are of {f'network namespace {name}' if name else 'the own network namespace'}, "
        f"where most went wrong; {plural(shown.other_namespaces, 'other is', 'others are')} judged and not drawn."
    ]


def _captured(paths: Sequence[Pathname]) -> tuple[list[Capture], list[Syn]]:
    carried: list[Capture] = []
    syns: list[Syn] = []
    for name in paths:
        path = Path(name)
        data = read_bytes(path)
        try:
            caught = parse_syns(data)
        except ParseError as error:
            raise ReadError(f"{path}: {error}") from error
        # The same SYN was caught at both ends of the wire: the sender's end comes first and is the one that counts.
        first = caught[0].interface if caught else ""
        syns += [syn for syn in caught if syn.interface == first]
        carried.append(Capture(path.name, len(data), data))
    return carried, syns


def _notes(captures: Sequence[Pathname], syns: Sequence[Syn], subjects: Sequence[PageSubject]) -> list[str]:
    notes = []
    if captures and not syns:
        notes.append("The capture holds no SYN.")
    if captures and len(subjects) > 1:
        notes.append(f"The capture is taken for that of the first record, {subjects[0].title}.")
    return notes


# The ladder as it stood --------------------------------------------------------------------------------------------


def _limits(run: RunResult) -> Limits | None:
    """The ladder from the snapshots before the run; None where there is none, or it cannot be read."""
    before = run.client.before
    if before is None:
        return None
    target = _target(run)
    server = run.server.before if run.server.observed else None
    listeners = _listeners(server, target) if server is not None and target is not None else []
    sources = run.config.get("sources")
    spread = HoldSpread(
        own_descriptors=plan.HOLDS_OPEN.get(run.engine, 5),
        processes=max(1, len(run.client.workers)),
        sources=max(1, len(sources)) if isinstance(sources, list) else 1,
        most=plan.MOST_CONNECTIONS,
    )
    same = server is not None and not run.server.via and server.host.netns_inode == before.host.netns_inode
    try:
        return ladder(
            BothEnds(
                client=before,
                spread=spread,
                target=target,
                server=(before if same else server) if listeners else None,
                listeners=listeners,
            )
        )
    except EstabError:
        return None


def _listeners(server: Snapshot, target: tuple[str, int]) -> list[Listener]:
    if is_unix(target[0]):
        return server.unix_listeners or []
    return serving(server.listeners or (), *target, anywhere=True)


def _target(run: RunResult) -> tuple[str, int] | None:
    if (path := facts.unix_target(run)) is not None:
        return path, 0
    host, _, port = str(run.config.get("target") or "").rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isascii() and port.isdigit() else None
