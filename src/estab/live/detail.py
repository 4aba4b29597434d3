"""One listener: its queue, its history as columns, its owners, and the judge's word on it alone. Pure: styled text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.text import Text

from estab.kernel.rules import accept_queue
from estab.live.columns import BY_SEVERITY, where
from estab.live.judgement import rate
from estab.live.panels import label
from estab.live.view import ListenerRow, QueueSample
from estab.observe.process_names import ProcessNames
from estab.records import Diagnosis, Process, ServiceName
from estab.report.layout import Glyphs, bar
from estab.report.words import DASH, clean, count, size
from estab.words import clock, plural


def detail(
    row: ListenerRow,
    samples: Sequence[QueueSample],
    judged: Diagnosis | None,
    *,
    gone: bool,
    width: int,
    glyphs: Glyphs,
    height: int = 6,
    names: Mapping[int, ProcessNames] | None = None,
) -> Text:
    """All that is known of one listener, in lines of `width` characters (sentences may be longer and wrap).

    `height`: lines of its history. `names`: of its owners by PID, where they run on this host.
    """
    parts = [
        _title(row, gone),
        _queue(row, width, glyphs),
        Text(row.judgement.says, BY_SEVERITY[row.judgement.severity]),
    ]
    fits = accept_queue.room(row.limit)
    parts += [
        Text(""),
        *_history("Depth", samples, lambda sample: sample.depth, width, glyphs, most=fits, height=height),
    ]
    if any(sample.drops_per_s for sample in samples):
        parts += [
            Text(""),
            *_history("Drops a second", samples, lambda sample: sample.drops_per_s, width, glyphs, height=height // 2),
        ]
    parts += [Text(""), _rates(row), *_owners(row.owners, names or {})]
    if judged is not None:
        parts += [Text(""), *_judged(judged)]
    return Text("\n").join(parts)


def _title(row: ListenerRow, gone: bool) -> Text:
    text = Text(where(row.address, row.port), "bold")
    if row.netns:
        text.append(f"   namespace {clean(row.netns)}", style="not bold")
    return text.append("   listens no more", style="yellow") if gone else text


def _queue(row: ListenerRow, width: int, glyphs: Glyphs) -> Text:
    waits, fits = plural(row.depth, "waits", "wait"), plural(accept_queue.room(row.limit), "fits", "fit")
    says = f"  {waits}, {fits} (limit {row.limit:,}); worst {row.worst:,}"
    style = "red" if row.fill >= 1 else "yellow" if row.fill >= 0.7 else "green"
    return Text(bar(row.fill, max(8, min(40, width - len(says))), glyphs, track=True), style).append(
        says, style="default"
    )


def _rates(row: ListenerRow) -> Text:
    text = label("Rates")
    text.append(f"queue {_signed(row.growth_per_s)} a second   ")
    return text.append(f"dropped {DASH if row.drops_per_s is None else rate(row.drops_per_s)} a second")


def _signed(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{rate(abs(value))}"


def _owners(owners: Sequence[Process], names: Mapping[int, ProcessNames], most: int = 6) -> list[Text]:
    if not owners:
        return [label("Owner").append("not observed: run as root, or as the server's user", style="yellow")]
    lines = []
    for number, owner in enumerate(owners[:most]):
        text = label("Owner" if number == 0 else "")
        text.append(f"{clean(owner.name or '?')} {owner.pid}", style="bold")
        text.append(f"   descriptors {count(owner.fds)} of {count(owner.nofile_soft)}   memory {size(owner.rss_bytes)}")
        lines += [text, *_names(names.get(owner.pid))]
    if len(owners) > most:
        lines.append(label("").append(f"and {len(owners) - most:,} more", style="dim"))
    return lines


def _names(names: ProcessNames | None) -> list[Text]:
    """The owner's command line, and what people call it."""
    if names is None:
        return []
    lines = [label("Command").append(clean(names.command_line))] if names.command_line else []
    service = names.service or ServiceName()
    container = " ".join(part for part in (service.container, (service.container_id or "")[:12]) if part)
    pod = " ".join(part for part in (service.pod, service.pod_uid) if part)
    called = [("user", names.user), ("unit", service.unit), ("container", container), ("pod", pod)]
    known = [f"{what} {clean(name)}" for what, name in called if name]
    return [*lines, label("Runs as").append("   ".join(known))] if known else lines


def _history(
    title: str,
    samples: Sequence[QueueSample],
    get: Callable[[QueueSample], float | None],
    width: int,
    glyphs: Glyphs,
    *,
    most: float | None = None,
    height: int,
) -> list[Text]:
    """Columns, one a look, the newest at the right. `most` is the height's value; None: the greatest seen."""
    axis = 8
    shown = list(samples)[-max(1, width - axis - 1) :]
    values = [get(sample) for sample in shown]
    top = most if most is not None else max((value for value in values if value), default=0)
    span = shown[-1].at_s - shown[0].at_s if shown else 0.0
    when = f"   {clock(shown[0].at_s)} to {clock(shown[-1].at_s)} UTC" if shown else ""
    head = Text(title, "bold").append(f"{when}   {span:,.0f} s, {plural(len(shown), 'look')}", style="not bold dim")
    lines = chart(values, top, height, glyphs)
    marks = {0: rate(top) if top and top < 9.5 and top != int(top) else f"{top:,.0f}", height - 1: "0"}
    return [head, *(Text(f"{marks.get(n, ''):>{axis}} ", "dim").append(line, "cyan") for n, line in enumerate(lines))]


def chart(values: Sequence[float | None], top: float, height: int, glyphs: Glyphs) -> list[str]:
    """Columns of `height` lines, the uppermost line first; what is not known is a blank, and 0 a thin foot."""
    rises = f" {glyphs.levels}" if glyphs.parts else " #"
    steps = len(rises) - 1
    lit = [None if value is None else _lit(value, top, height * steps) for value in values]
    lines = []
    for line in range(height - 1, -1, -1):
        foot = glyphs.levels[0]
        lines.append("".join(_cell(eighths, line, steps, rises, foot) for eighths in lit))
    return lines


def _lit(value: float, top: float, whole: int) -> int:
    if value <= 0 or top <= 0:
        return 0
    return whole if value >= top else max(1, min(whole - 1, int(value / top * whole)))


def _cell(lit: int | None, line: int, steps: int, rises: str, foot: str) -> str:
    if lit is None:
        return " "
    if lit == 0 and line == 0:
        return foot
    return rises[min(steps, max(0, lit - line * steps))]


def _judged(diagnosis: Diagnosis) -> list[Text]:
    """The verdict with its evidence and what to do."""
    text = label("Verdict")
    cause = diagnosis.accused
    if cause is None:
        return [text.append(clean(diagnosis.summary))]
    parts = [text.append(cause.cause, style="bold red").append(f"  {clean(diagnosis.summary)}")]
    parts += [
        Text(f"  - {clean(fact.text or fact.field)}").append(f"  [{clean(fact.source)}]", "dim")
        for fact in cause.evidence
    ]
    works = [remedy for remedy in cause.remedies if remedy.works]
    nothing = [remedy for remedy in cause.remedies if not remedy.works]
    for title, some, style in (("What to do", works, "green"), ("What does nothing", nothing, "yellow")):
        if some:
            parts += [Text(""), Text(title, "bold")]
        for remedy in some:
            parts += [Text(f"  {clean(remedy.command)}", style), Text(f"      {clean(remedy.why)}", "dim")]
    return parts
