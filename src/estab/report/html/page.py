"""The page: every part put together into one file that asks nothing of any network and stays below `MOST_BYTES`."""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from estab.errors import UsageError
from estab.report.html import labs, overview, snapshots, vega, view
from estab.report.html.charts.style import COLOURS
from estab.report.html.groups import groups, left_out
from estab.report.html.plot import Plot
from estab.report.html.plots import plots
from estab.report.html.subject import Material, PageSubject
from estab.report.html.thinned import fewer
from estab.report.markdown import markdown
from estab.report.words import clean, size

MOST_BYTES = 2_000_000
_MOST_EMBEDDED = 600_000  # of a capture or a record, packed
_TEMPLATES = Path(__file__).with_name("template")
_TITLES = {
    "funnel": "funnel", "states": "states", "connections": "connections", "queue": "queue", "failures": "failures",
    "syn_rule": "rule and connects", "syn_measured": "answered", "syn_captured": "captured",
    "percentiles": "percentiles", "latency": "latency", "throughput": "throughput", "rungs": "limits",
    "sweep": "sweep", "open": "open connections", "incidents": "incidents",
    "episodes": "episodes", "changes": "restarts", "opens": "new connections", "queue2": "queue", "queue3": "queue",
    "close1": "close looks", "close2": "close looks", "close3": "close looks",
}  # fmt: skip


def html(material: Material, *, version: str) -> str:
    """The whole page. Long timelines are thinned until it fits, and the page says so.

    Raises UsageError where even that is not enough.
    """
    # Each file is packed once, however far the page is thinned.
    packers: tuple[Callable[[bytes], str | None], ...] = (functools.cache(_packed), _left_out)
    for step in (1, 2, 4, 8, 16, 32, 64):
        thinned = _thinned(material, step)
        drawn = [all_plots(subject) for subject in thinned.subjects]
        for pack in packers:
            page = _render(thinned, drawn, version, _Parts(pack))
            if len(page.encode()) < MOST_BYTES:
                return page
    raise UsageError(f"{len(material.subjects):,} runs do not fit into a page of 2 MB; give fewer at a time")


def all_plots(subject: PageSubject) -> list[Plot]:
    """Every plot of a subject, drawn or not."""
    return [*plots(subject), *snapshots.plots(subject), *snapshots.close_plots(subject)]


def _thinned(material: Material, step: int) -> Material:
    """Each `step`-th point of every timeline, where there are many, and of recordings the worst; and a note of it."""
    if step == 1:
        return material
    from dataclasses import replace

    def thin(subject: PageSubject) -> PageSubject:
        run = subject.run
        if run is not None and len(run.timeline) > 50:
            points = [*run.timeline[:-1:step], run.timeline[-1]]
            return replace(subject, run=run.replace(timeline=points))
        return replace(subject, snapshots=fewer(subject.snapshots, step)) if len(subject.snapshots) > 50 else subject

    note = f"To stay below 2 MB, the plots and their files have one of each {step} points of the timelines."
    return replace(material, subjects=[thin(subject) for subject in material.subjects], notes=[*material.notes, note])


def _packed(data: bytes) -> str | None:
    """A file as the page carries it; None where it is too large."""
    packed = gzip.compress(data, mtime=0)
    return base64.b64encode(packed).decode("ascii") if len(packed) <= _MOST_EMBEDDED else None


def _left_out(_data: bytes) -> None:
    """Takes the place of `_packed` where the page has no room for files."""


class _Parts:
    """Collects charts, tables and files. A chart that several runs share stands in the page once."""

    def __init__(self, pack: Callable[[bytes], str | None]) -> None:
        self._pack = pack
        self.tables: dict[str, dict[str, list[Any]]] = {}
        self.charts: list[dict[str, Any]] = []
        self.files: list[dict[str, str]] = []
        self._known: dict[str, int] = {}

    def plot(self, plot: Plot, key: str, title: str) -> dict[str, Any]:
        """The plot as the template takes it."""
        prefix = f"{key}."
        for table in plot.tables:
            if prefix + table.name not in self.tables:
                self.tables[prefix + table.name] = table.data()
        return {
            "id": f"{key}-{plot.name}",
            "title": plot.title,
            "caption": plot.caption,
            "legend": plot.legend,
            "missing": plot.missing,
            "chart": self._chart(plot),
            "prefix": prefix,
            "downloads": [
                {
                    "key": prefix + table.name,
                    "words": _TITLES.get(table.name, table.name),
                    "file": _file(title, table.name),
                }
                for table in plot.downloads
            ],
        }

    def _chart(self, plot: Plot) -> int | None:
        if plot.chart is None:
            return None
        text = json.dumps(plot.chart, sort_keys=True)
        if text not in self._known:
            self._known[text] = len(self.charts)
            self.charts.append(vega.compiled(dict(plot.chart)))
        return self._known[text]

    def file(self, data: bytes | None) -> str | None:
        """Carries a file, packed, and gives its key; None where there is none, or no room for it."""
        packed = self._pack(data) if data is not None else None
        if packed is None:
            return None
        key = f"file{len(self.files)}"
        self.files.append({"key": key, "packed": "gzip", "data": packed})
        return key


def _render(material: Material, drawn: Sequence[list[Plot]], version: str, parts: _Parts) -> str:
    """`drawn`: the plots of each subject."""
    many = len(material.subjects) > 1
    summary = overview.overview(material.subjects) if many else None
    shown = {
        "version": version,
        "title": _title(material),
        "notes": material.notes,
        "many": many,
        "overview": summary
        and {
            **summary,
            "links": [(f"run{n}", clean(subject.title)) for n, subject in enumerate(material.subjects)],
            "plots": [parts.plot(plot, "all", "runs") for plot in summary["plots"]],
        },
        "labs": [_lab(lab, parts, number) for number, lab in enumerate(material.labs)],
        "subjects": [
            _subject(subject, plots_of_it, f"run{n}", parts)
            for n, (subject, plots_of_it) in enumerate(zip(material.subjects, drawn, strict=True))
        ],
        "captures": [
            {
                "name": capture.name,
                "size": size(capture.size),
                "key": parts.file(capture.data),
            }
            for capture in material.captures
        ],
        "files": parts.files,
        "colours": Markup(colours()),
        "style": Markup(_read("style.css")),
        "script": Markup(_read("page.js")),
        "bundle": Markup(vega.bundle()),
        "tables": _json(parts.tables),
        "markdown": _json(markdown(material, version=version)),
        "charts": _json(parts.charts),
    }
    return _environment().get_template("page.html").render(shown)


def _lab(lab: tuple[str, Any], parts: _Parts, number: int) -> dict[str, Any]:
    made = labs.view(*lab)
    for place, scenario in enumerate(made["scenarios"]):
        scenario["plots"] = [parts.plot(plot, f"lab{number}-{place}", scenario["name"]) for plot in scenario["plots"]]
    return made


def _subject(subject: PageSubject, drawable: Sequence[Plot], key: str, parts: _Parts) -> dict[str, Any]:
    shown = {plot.name: parts.plot(plot, key, subject.title) for plot in drawable}
    record = parts.file(subject.source or None)
    words = view.view(subject)
    sections = groups(subject, drawable, shown, key)
    return {
        **words,
        "key": key,
        "groups": sections,
        "left_out": left_out(drawable),
        "links": _links(key, words, sections),
        "record": record,
        "file": _file(subject.title, "") + (".json" if subject.run else ".ndjson"),
    }


def _links(key: str, words: dict[str, Any], sections: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Where the parts of a subject are, and what they are called."""
    links = [(f"{key}-remedies", "What to do")] if words["works"] or words["nothing"] else []
    links += [(f"{key}-twin", "Twin")] if words["twin"] else []
    links += [(section["id"], section["title"]) for section in sections]
    links += [(f"{key}-suspects", "Suspects")] if words["suspects"] else []
    return [*links, (f"{key}-host", "Host")]


def _file(title: str, name: str) -> str:
    """A name that a file may have anywhere."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in title).strip("._") or "run"
    return f"{plain[:60]}-{name}" if name else plain[:60]


def _title(material: Material) -> str:
    if len(material.subjects) == 1:
        return clean(f"{material.subjects[0].title}: {material.subjects[0].diagnosis.cause or 'no cause'} · estab")
    return "estab report"


def colours() -> str:
    """The palette as CSS variables: light, dark by the system or by choice, and light on paper."""
    light = ";".join(f"--{name}:{value}" for name, (value, _) in COLOURS.items())
    dark = ";".join(f"--{name}:{value}" for name, (_, value) in COLOURS.items())
    return (
        f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}"
    )


def _json(value: Any) -> Markup:
    """JSON that cannot end the script that it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    """Templates are compiled once, however often a page is made anew to fit."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )


def figures(material: Material) -> Sequence[tuple[str, Plot]]:
    """Every plot that is drawn, with a name for its file."""
    drawn = []
    for subject in material.subjects:
        for plot in all_plots(subject):
            if plot.chart is not None:
                name = plot.name if len(material.subjects) == 1 else _file(subject.title, plot.name)
                drawn.append((name, plot))
    if len(material.subjects) > 1:
        drawn += [(f"all-{plot.name}", plot) for plot in overview.overview(material.subjects)["plots"]]
    for _, lab in material.labs:
        for scenario in lab.scenarios:
            drawn += [(_file(scenario.name, plot.name), plot) for plot in labs.plots(scenario)]
    return drawn
