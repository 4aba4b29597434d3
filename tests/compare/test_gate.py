"""The grammar of --fail-on: what it reads, what it refuses and where, and what its terms say."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from estab.compare.figures import KNOWN
from estab.compare.gate import SHORT, Term, judge, parse
from estab.errors import UsageError
from estab.records.comparison import Figure

NAMES = [*KNOWN, *SHORT, "failures.connect", "failures.ETIMEDOUT", "failures.read.ECONNRESET", "failures.status.503"]


def terms(text: str) -> list[tuple[str, str, float, str]]:
    return [(one.name, one.operator, one.bound, one.against) for one in parse(text)]


def test_what_it_reads() -> None:
    assert terms("p99>+10%,failures>0,throughput<-5%,cause") == [
        ("p99", ">", 10.0, "percent"),
        ("failures", ">", 0.0, "itself"),
        ("throughput", "<", -5.0, "percent"),
        ("cause", "", 0.0, "itself"),
    ]
    assert terms("connect.p50 >= 5ms , failures.connect.ETIMEDOUT > +3") == [
        ("connect.p50", ">=", 5000.0, "itself"),
        ("failures.connect.ETIMEDOUT", ">", 3.0, "difference"),
    ]
    assert terms("p99>1.5s,p50>.5ms,throughput<300k,max<=-2us") == [
        ("p99", ">", 1.5e6, "itself"),
        ("p50", ">", 500.0, "itself"),
        ("throughput", "<", 300e3, "itself"),
        ("max", "<=", -2.0, "difference"),
    ]


FAULTS = [
    ("p99", 4, "wants"),
    ("p99>", 5, "missing"),
    ("p99>10%", 5, "no sign"),
    ("p9>1", 1, "did you mean p99"),
    ("latency>1", 1, "no figure"),
    ("", 1, "a term is missing"),
    (",", 1, "a term is missing"),
    ("p99>+10%,,cause", 10, "a term is missing"),
    ("p99>+10%, ", 11, "a term is missing"),
    ("p99>1q", 6, "no unit"),
    ("failures>1ms", 11, "no unit"),
    ("cause>1", 6, "stands alone"),
    ("p99>+1ms x", 9, "too much"),
    ("99>3", 1, "begin with"),
    ("p99=3", 4, "wants"),
    ("p99>x", 5, "no bound"),
    ("p99>+10%,  failures.nowhere>0", 12, "no figure"),
    ("failures.connect.ETIMEDOUTT>0", 1, "no figure"),
    ("failures.a.b.c>0", 1, "no figure"),
]


@pytest.mark.parametrize(("text", "column", "words"), FAULTS)
def test_faults_point_at_the_column(text: str, column: int, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as raised:
        parse(text)
    assert f"column {column}:" in str(raised.value)
    assert "\n" not in str(raised.value)


@settings(deadline=None)
@given(st.text(max_size=40))
@example("p99>+1e5%")
@example("p99>+\u0663%")
def test_any_text_is_read_or_refused_with_a_column(text: str) -> None:
    try:
        found = parse(text)
    except UsageError as error:
        column = int(re.search(r", column (\d+): ", str(error))[1])  # type: ignore[index]
        assert 1 <= column <= len(text) + 1
    else:
        assert len(found) == text.count(",") + 1


numbers = st.floats(0, 1e6, allow_nan=False).map(lambda value: f"{value:.3f}")
spaces = st.sampled_from(["", " ", "  "])


@settings(deadline=None)
@given(
    name=st.sampled_from(NAMES),
    operator=st.sampled_from(["<", "<=", ">", ">="]),
    sign=st.sampled_from(["", "+", "-"]),
    number=numbers,
    blanks=st.tuples(spaces, spaces, spaces),
)
def test_what_is_written_is_what_is_read(
    name: str, operator: str, sign: str, number: str, blanks: tuple[str, str, str]
) -> None:
    before, between, after = blanks
    percent = "%" if sign else ""
    [term] = parse(f"{before}{name}{between}{operator}{between}{sign}{number}{percent}{after}")
    assert (term.name, term.operator, term.bound) == (name, operator, float(sign + number))
    assert term.column == len(before) + 1
    assert term.relative == bool(sign)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["p99>+10%", "failures>0", "cause", " throughput < -5% "]), min_size=1, max_size=6))
def test_terms_stand_for_themselves(parts: list[str]) -> None:
    together = parse(",".join(parts))
    assert [one.name for one in together] == [parse(part)[0].name for part in parts]
    assert [one.text for one in together] == [part.strip() for part in parts]


def figure(a: float | None, b: float | None, noise: str = "unknown", **more: object) -> dict[str, Figure]:
    name = str(more.pop("name", "throughput"))
    made = Figure(name=name, unit=KNOWN[name].unit, a=a, b=b, a_runs=[a], b_runs=[b], noise=noise, p=0.3)
    return {name: made.replace(**more)}


def said(text: str, figures: dict[str, Figure], *, strict: bool = False) -> bool:
    [term] = parse(text)
    return judge(term, figures, ([], []), strict=strict).fired


@pytest.mark.parametrize(
    ("text", "a", "b", "fired"),
    [
        ("throughput<-5%", 100, 95, False),
        ("throughput<=-5%", 100, 95, True),
        ("throughput<-5%", 100, 94, True),
        ("throughput>+5%", 100, 94, False),
        ("throughput<-5", 100, 94, True),
        ("throughput<-6", 100, 94, False),
        ("throughput<95", 100, 94, True),
        ("throughput>+900%", 0, 1, True),
        ("throughput>+0%", 0, 0, False),
        ("throughput<-5%", 0, 1, False),
    ],
)
def test_bounds(text: str, a: float, b: float, fired: bool) -> None:
    assert said(text, figure(a, b)) is fired


@pytest.mark.parametrize(
    ("noise", "fired"), [("beyond", True), ("separated", True), ("within", False), ("unknown", True)]
)
def test_within_noise_a_change_does_not_count(noise: str, fired: bool) -> None:
    assert said("throughput<-5%", figure(100, 50, noise)) is fired
    assert said("throughput<-5%", figure(100, 50, noise), strict=True)


def test_noise_does_not_excuse_an_absolute_bound() -> None:
    assert said("throughput<95", figure(100, 50, "within"))


def test_the_worst_run_decides_a_count() -> None:
    one_bad = figure(0, 0, name="failures", b_runs=[0, 0, 7])
    assert said("failures>0", one_bad)
    assert not said("failures>7", one_bad)
    fewest = figure(100, 100, name="connected", b_runs=[100, 90, 100])
    assert said("connected<100", fewest)


@pytest.mark.parametrize(
    ("a", "b", "words"), [(None, None, "neither"), (None, 1.0, "one side"), (1.0, None, "one side")]
)
def test_what_is_not_there_can_not_pass(a: float | None, b: float | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        said("throughput<-5%", figure(a, b))


def test_an_absolute_term_needs_b_alone() -> None:
    assert said("throughput>1", figure(None, 2.0))


def test_reasons_are_one_line() -> None:
    reason = judge(parse("throughput<-5%")[0], figure(312_000, 280_000, "beyond"), ([], []), strict=False).reason
    assert reason == "throughput went from 312,000/s to 280,000/s (-10.3%), p 0.3"


def test_a_term_knows_what_it_asks() -> None:
    assert isinstance(parse("p99>1ms")[0], Term)
    assert not parse("p99>1ms")[0].relative
