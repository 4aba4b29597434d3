"""`estab compare` and `--repeat` as a user runs them: real runs, a regression made on purpose, and bad input."""

from __future__ import annotations

import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.terminal import assert_one_clear_line, called, estab, started
from tests.namespaces import until
from tests.processes import children

from estab import load_run
from estab.records import decode
from estab.records.comparison import COMPARISON_SCHEMA, Comparison

GATE = "p99>+900%,failures>0,late>0,connected<-1%,cause"
HOLD = ("hold", "-n", "200", "-d", "100ms")


def repeated(folder: Path, *arguments: str, number: int = 4) -> Path:
    done = estab(*arguments, "--repeat", str(number), "--json", f"{folder}/")
    assert done.stderr == ""
    assert f"run {number} of {number}" in done.stdout
    assert len(list(folder.glob("run-*.json"))) == number
    return folder


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Repeated real runs: before, twice after without a change, and after a backlog was cut to 16."""
    root = tmp_path_factory.mktemp("compare")
    return {
        "before": repeated(root / "before", *HOLD),
        "same": repeated(root / "same", *HOLD),
        "again": repeated(root / "again", *HOLD),
        "cut": repeated(root / "cut", *HOLD, "--backlog", "16", "--accept-delay", "20ms"),
    }


def found(*arguments: str) -> tuple[int, Comparison]:
    done = called("compare", *arguments, "--json", "-")
    assert done.stdout, done.stderr
    return done.returncode, decode(done.stdout.encode(), Comparison, COMPARISON_SCHEMA)


@pytest.mark.parametrize("other", ["same", "again"])
def test_identical_repeated_runs_pass(sides: dict[str, Path], other: str) -> None:
    code, comparison = found(str(sides["before"]), str(sides[other]), "--fail-on", GATE)
    assert code == 0, comparison.gate
    assert (comparison.a.runs, comparison.b.runs) == (4, 4)
    assert comparison.differences == []
    assert comparison.notes == []


def test_three_identical_sets_hold_a_narrow_gate_on_counts(sides: dict[str, Path]) -> None:
    counts = "failures>0,late>0,ghosts>0,listen_overflows>0,connected<200,completed<200,cause"
    for one in ("before", "same", "again"):
        assert found(str(sides["before"]), str(sides[one]), "--fail-on", counts)[0] == 0


def test_a_backlog_cut_on_purpose_fails(sides: dict[str, Path], tmp_path: Path) -> None:
    junit, markdown = tmp_path / "junit.xml", tmp_path / "comment.md"
    done = called(
        "compare", str(sides["before"]), str(sides["cut"]), "--fail-on", GATE, "--junit", str(junit), "--markdown",
        str(markdown), "--github",
    )  # fmt: skip
    assert done.returncode == 1
    for words in ("Gate  fails", "late>0", "accept_queue_overflow", "backlog asked", "yes, p 0.029"):
        assert words in done.stdout, done.stdout
    errors = [line for line in done.stdout.splitlines() if line.startswith("::error title=")]
    assert any("accept_queue_overflow" in line for line in errors)
    assert "::warning title=estab compare%3A setup differs::" in done.stdout
    suite = ElementTree.parse(junit).getroot()
    assert suite.get("tests") == "5"
    assert int(suite.get("failures", "0")) == len(errors) >= 3
    assert len(list(suite.iter("failure"))) == len(errors)
    assert "### estab compare fails" in markdown.read_text()


def test_the_record_says_what_it_rests_on(sides: dict[str, Path]) -> None:
    _code, comparison = found(str(sides["before"]), str(sides["cut"]))
    p99 = next(figure for figure in comparison.figures if figure.name == "connect.p99")
    assert p99.noise == "beyond"
    assert p99.p == pytest.approx(2 / 70)
    assert p99.low is not None
    assert p99.high is not None
    assert p99.low <= (p99.change or 0) <= p99.high
    assert p99.a_all is not None
    assert p99.a_all.count == 800, "the histograms of four runs, merged"
    assert [one.what for one in comparison.differences] == ["accept_delay_s", "backlog_asked"]


def test_single_runs_say_that_noise_is_unknown(sides: dict[str, Path]) -> None:
    one, other = (str(sides[side] / "run-1.json") for side in ("before", "same"))
    done = called("compare", one, other)
    assert done.returncode == 0
    assert "Noise can't be told apart" in done.stdout
    assert "Sampling error alone" in done.stdout
    assert "--repeat 5" in done.stdout


def test_another_kind_of_run_is_named(sides: dict[str, Path], tmp_path: Path) -> None:
    bench = tmp_path / "bench.json"
    estab("bench", "-c", "5", "-d", "100ms", "--json", str(bench))
    done = called("compare", str(sides["before"] / "run-1.json"), str(bench))
    assert "Not the same kind of run: A is hold, B is bench rr." in " ".join(done.stdout.split())
    gate = called("compare", str(sides["before"]), str(bench), "--fail-on", "failures>0,throughput<-5%")
    assert_one_clear_line(gate, 2, "column 12", "throughput")


def test_lines_of_runs_are_read_too(tmp_path: Path) -> None:
    done = estab("hold", "-n", "3", "-d", "10ms", "--repeat", "2", "--json", "-")
    lines = tmp_path / "runs.ndjson"
    lines.write_text(done.stdout)
    code, comparison = found(str(lines), str(lines))
    assert code == 0
    assert comparison.a.runs == 2
    lines.write_text(done.stdout + done.stdout[:100])
    assert_one_clear_line(called("compare", str(lines), str(lines)), 2, "line 3")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compare", "/no/such", "/no/such"), ("/no/such", "No such file")),
        (("compare", "/etc/hostname", "/etc/hostname"), ("/etc/hostname", "not a record")),
        (("compare", "."), ("B",)),
        (("compare", "a", "b", "--fail-on", "p99>10%"), ("column 5", "no sign")),
        (("compare", "a", "b", "--json", "-", "--github"), ("standard output",)),
        (("compare", "a", "b", "--junit", "/no/such/dir/x"), ("/no/such/dir",)),
        (("bench", "--repeat", "0"), ("--repeat", "0")),
        (("bench", "--repeat", "2", "--json", "/etc/hostname"), ("/etc/hostname", "is a file")),
    ],
)
def test_usage(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_one_clear_line(called(*arguments), 2, *words)


def test_an_empty_directory_and_an_alpha(sides: dict[str, Path], tmp_path: Path) -> None:
    before = str(sides["before"])
    assert_one_clear_line(called("compare", str(tmp_path), before), 2, str(tmp_path), "no run in it")
    assert_one_clear_line(called("compare", before, before, "--alpha", "0"), 2, "alpha")


def test_a_directory_that_holds_runs_is_left_alone(sides: dict[str, Path]) -> None:
    kept = (sides["before"] / "run-1.json").read_bytes()
    done = estab(*HOLD, "--repeat", "2", "--json", str(sides["before"]))
    assert_one_clear_line(done, 2, "holds runs already")
    assert (sides["before"] / "run-1.json").read_bytes() == kept


def test_ctrl_c_keeps_the_runs_that_are_done(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    process = started("hold", "-n", "20", "-d", "700ms", "--repeat", "50", "--json", str(folder))
    until(lambda: list(folder.glob("run-*.json")) and children(process.pid), why="a run is over, another at work")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == ""
    files = sorted(folder.iterdir())
    assert f"Interrupted: {len(files)} of 50 runs" in out
    assert not any(load_run(file).interrupted for file in files)


def test_the_worst_code_of_the_runs_counts(tmp_path: Path) -> None:
    done = estab("hold", "127.0.0.1:1", "-n", "1", "-d", "10ms", "--repeat", "2", "--json", str(tmp_path / "x"))
    assert done.returncode == 1
    assert "nobody_listening" in done.stdout
    assert "2 of 2 runs with a cause" in done.stdout
