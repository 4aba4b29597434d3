"""What a comparison says, in words that the terminal, Markdown, JUnit and annotations share. Pure."""

from __future__ import annotations

from estab.records.comparison import ComparedRuns, Comparison, Figure, Pooled
from estab.report.words import DASH, clean, count, seconds, size
from estab.words import plural

SECTIONS = (
    ("Funnel", ("attempted", "connected", "accepted", "first_byte", "completed")),
    ("Failures", ("failures",)),
    ("Seen", ("late", "ghosts", "queue_depth", "listener_drops", "listen_overflows")),
    ("Rates", ("throughput", "bytes_per_s", "connects_per_s")),
    ("Latency", ("connect", "request")),
)
_QUIET = ("listener_drops", "listen_overflows", "ghosts", "late", "queue_depth")  # left out while nothing happened


def sections(comparison: Comparison) -> list[tuple[str, list[Figure]]]:
    """The figures by section; what was nothing on both sides and needs no saying is left out."""
    groups = [
        (title, [figure for figure in comparison.figures if _belongs(figure, names)]) for title, names in SECTIONS
    ]
    return [(title, figures) for title, figures in groups if figures]


def _belongs(figure: Figure, names: tuple[str, ...]) -> bool:
    if figure.name in _QUIET and not figure.a and not figure.b:
        return False
    return figure.name.split(".")[0] in names


def label(figure: Figure) -> str:
    """The figure's name in words, near enough to how --fail-on writes it; a kind of failure by phase and errno."""
    words = figure.name.removeprefix("failures.").replace("_per_s", "/s")
    if not figure.name.startswith("failures."):
        words = words.replace("_", " ")
    return clean(words.replace(".", " ").replace("p999", "p99.9"))


def value(figure: Figure, amount: float | None, micro: str = "us") -> str:
    """An amount of this figure with its unit."""
    if amount is None:
        return DASH
    match figure.unit:
        case "us":
            return seconds(amount / 1e6, micro)
        case "per_second":
            return f"{count(amount)}/s"
        case "bytes_per_second":
            return f"{size(amount)}/s"
    return count(amount) if amount == int(amount) else f"{amount:,.1f}"


def percent(change: float) -> str:
    """A change as `+12%`, `-0.4%`; from eleven times on as `12x`."""
    points = change * 100
    if change >= 10:
        return f"{change + 1:,.0f}x"
    if points == 0:
        return "0%"
    return f"{points:+,.0f}%" if abs(points) >= 9.95 else f"{points:+.1f}%"


def change(figure: Figure) -> str:
    """How B stands to A."""
    if figure.a is None or figure.b is None:
        return DASH
    if figure.a == figure.b:
        return "same"
    return f"{figure.b - figure.a:+,.4g}" if figure.change is None else percent(figure.change)


def interval(figure: Figure) -> str:
    """The 95% interval of the change."""
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return ""
    low, high = percent(figure.low), percent(figure.high)
    return f"{low.removesuffix('%') if high.endswith('%') else low} to {high}"


def noise(figure: Figure) -> str:
    """Whether the difference is more than noise."""
    probability = "" if figure.p is None else f"p {figure.p:.2g}"
    match figure.noise:
        case "beyond":
            return f"yes, {probability}"
        case "separated":
            return f"apart, {probability}"
        case "within":
            return f"no, {probability}"
    return "" if figure.noise == "same" or figure.a == figure.b else "unknown"


def told_apart(figure: Figure) -> bool:
    """Whether the difference is more than noise, as far as the number of runs can tell."""
    return figure.noise in ("beyond", "separated") and figure.a != figure.b


def worse(figure: Figure) -> bool:
    """Whether B is worse beyond noise."""
    return told_apart(figure) and figure.better is not None and _rose(figure) != (figure.better == "higher")


def better(figure: Figure) -> bool:
    """Whether B is better beyond noise."""
    return told_apart(figure) and figure.better is not None and _rose(figure) == (figure.better == "higher")


def _neither(figure: Figure) -> bool:
    return told_apart(figure) and figure.better is None


def _rose(figure: Figure) -> bool:
    return (figure.b or 0.0) > (figure.a or 0.0)


def pooled(figure: Figure, percentile: Pooled | None, micro: str = "us") -> str:
    """A percentile of all values of a side, with its sampling interval."""
    if percentile is None:
        return DASH
    said = value(figure, percentile.value, micro)
    if percentile.low is None or percentile.high is None:
        return f"{said} (too few values)"
    low, high = (value(figure, bound, micro) for bound in (percentile.low, percentile.high))
    if low.split()[-1] == high.split()[-1]:
        low = low.split()[0]  # one unit for both ends
    return f"{said} ({low} to {high})"


def side(sample: ComparedRuns) -> str:
    """A side in one line: how many runs of what, and the verdicts."""
    runs = plural(sample.runs, "run")
    names = {"": "no cause", "?": "not judged"}
    if sample.runs == 1:
        causes = [names.get(cause, cause) for cause in sample.causes]
    else:
        causes = [
            f"{names.get(cause, cause)} in {'all' if n == sample.runs else n}" for cause, n in sample.causes.items()
        ]
    return clean(f"{runs} of {sample.command}: {', '.join(causes)}")


def summary(comparison: Comparison) -> str:
    """The comparison in a sentence or two."""
    parts = []
    if set(comparison.a.causes) != set(comparison.b.causes):
        parts.append(f"The verdict changed: {_causes(comparison.a)} before, {_causes(comparison.b)} after.")
    if min(comparison.a.runs, comparison.b.runs) < 2:
        return " ".join([*parts, "Without repeats on both sides, no difference can be told from noise."])
    few = any(figure.noise == "separated" for figure in comparison.figures)
    sure = "as far as so few runs tell" if few else "beyond noise"
    for words, test in (("Worse", worse), ("Better", better), ("Different", _neither)):
        figures = [label(figure) for figure in comparison.figures if test(figure)]
        if figures:
            parts.append(f"{words} {sure}: {', '.join(figures)}.")
    return " ".join(parts) or "No difference is more than noise."


def _causes(sample: ComparedRuns) -> str:
    names = {"": "no cause", "?": "not judged"}
    return clean(" and ".join(names.get(cause, cause) for cause in sample.causes))
