"""`estab report` as a user runs it: pages, pictures, Markdown, captures, and every kind of input that is none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.cli.terminal import assert_one_clear_line, called, estab
from tests.forked import forked_without
from tests.report.html_pages import full

from estab.api.files import save_run
from estab.extras import install_command
from estab.records import encode
from estab.records.lab import LabResult, LabRow, LabScenario
from estab.records.twin import TwinRemedy, TwinResult

pytestmark = pytest.mark.xdist_group("pages")  # what draws them is made once a process


@pytest.fixture
def run_json(tmp_path: Path) -> Path:
    save_run(full(), tmp_path / "run.json")
    return tmp_path / "run.json"


def without_the_extra(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = forked_without(("altair", "jinja2", "vl_convert"), "estab.report.html", *arguments)
    return subprocess.run(**command, capture_output=True, text=True, check=False, timeout=60)


def test_a_page_of_a_real_overflow(tmp_path: Path) -> None:
    recorded, page = tmp_path / "run.json", tmp_path / "report.html"
    held = estab(
        "hold", "-n", "60", "-d", "200ms", "--backlog", "8", "--accept-delay", "50ms", "--json", str(recorded), "-q"
    )
    assert held.returncode == 1
    done = called("report", str(recorded), "-o", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"wrote {page}" in done.stdout
    text = page.read_text(encoding="utf-8")
    assert "The accept queue of" in text
    assert "--backlog 8 --accept-delay 50ms" in text


def test_pictures_and_quiet(run_json: Path, tmp_path: Path) -> None:
    done = called("report", str(run_json), "--svg", str(tmp_path / "plots"), "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "plots" / "funnel.svg").read_text().startswith("<svg")
    assert not Path("report.html").exists()


def test_markdown_needs_no_extra(run_json: Path) -> None:
    done = without_the_extra("report", str(run_json), "--markdown")
    assert (done.returncode, done.stderr) == (0, "")
    assert "accept\\_queue\\_overflow" in done.stdout


def test_a_file_s_name_says_what_is_written(run_json: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    done = without_the_extra("report", str(run_json), "-o", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"wrote {page}" in done.stdout
    assert page.read_text(encoding="utf-8") == called("report", str(run_json), "--markdown").stdout


@pytest.mark.parametrize(
    ("name", "instead"), [("x.png", "--png"), ("x.SVG", "--svg"), ("x.pdf", ".html"), ("x.json", "JSON")]
)
def test_what_is_no_page_is_refused(run_json: Path, tmp_path: Path, name: str, instead: str) -> None:
    assert_one_clear_line(
        called("report", str(run_json), "-o", str(tmp_path / name)), 2, name, "HTML or Markdown", instead
    )
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("wanted", [("-o", "x.html"), ("--png", ".")])
def test_a_missing_extra_says_how_to_add_it(run_json: Path, wanted: tuple[str, str], tmp_path: Path) -> None:
    option, name = wanted
    done = without_the_extra("report", str(run_json), option, str(tmp_path / name))
    assert_one_clear_line(done, 3, install_command("report"), "altair", "--markdown")


def test_a_twin_stands_beside_its_run(run_json: Path, tmp_path: Path) -> None:
    remedy = TwinRemedy(command="--backlog 512", claimed=True, came="works", did="listen(512)", after="400 accepted")
    cause = "accept_queue_overflow"
    twin = TwinResult(
        file="run.json",
        scale=1,
        recorded_cause=cause,
        cause=cause,
        same_cause=True,
        before="60 accepted",
        remedies=[remedy],
    )
    (tmp_path / "twin.json").write_bytes(encode(twin))
    page = tmp_path / "page.html"
    assert called("report", str(run_json), str(tmp_path / "twin.json"), "-o", str(page)).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "Tried on the twin" in text
    assert "400 accepted" in text


def test_a_lab_s_sweep_is_drawn(tmp_path: Path) -> None:
    rows = [
        LabRow(what=f"ceiling of a table of {n}", predicted=str(n), measured=str(n), agrees=True)
        for n in (50, 100, 200)
    ]
    one = LabScenario(
        name="path_flow_table_full", symptom="new flows are lost", side="path", status="as_predicted", rows=rows
    )
    (tmp_path / "lab.json").write_bytes(encode(LabResult(scenarios=[one])))
    page = tmp_path / "page.html"
    assert called("report", str(tmp_path / "lab.json"), "-o", str(page)).returncode == 0
    assert "Sweep: ceiling of a table of so many" in page.read_text(encoding="utf-8")


def test_snapshots_become_a_timeline(tmp_path: Path) -> None:
    seen = estab("observe", "--count", "3", "--interval", "50ms")
    assert seen.returncode == 0, seen.stderr
    (tmp_path / "seen.ndjson").write_text(seen.stdout)
    page = tmp_path / "page.html"
    done = called("report", str(tmp_path / "seen.ndjson"), "-o", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Sockets by state" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("it is empty",)),
        (b"\x00\xff", ("not a record",)),
        (b'{"schema": "estab.run/1"}', ("damaged", "command")),
        (b'{"schema": "estab.run/9"}', ("estab.run/9",)),
        (b'{"schema": "estab.limits/1", "limits": []}', ("estab.limits", "estab.run")),
        (b'{"schema": "estab.snapshot/1"}\n', ("line 1",)),
        (b'{"schema": "estab.lab/1", "scenarios": 3}', ("damaged", "scenarios")),
        (b"{}", ("no schema",)),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(content)
    assert_one_clear_line(called("report", str(bad), "-o", str(tmp_path / "page.html")), 2, "bad.json", *words)
    assert not (tmp_path / "page.html").exists()


def test_what_cannot_be_asked(run_json: Path, tmp_path: Path) -> None:
    here = str(tmp_path)
    assert_one_clear_line(called("report"), 2, "recorded run")
    assert_one_clear_line(called("report", "/no/such.json", "-o", f"{here}/x"), 2, "/no/such.json")
    assert_one_clear_line(called("report", str(run_json), "-o", here), 2, "directory")
    assert_one_clear_line(called("report", str(run_json), "-o", f"{here}/no/x.html"), 2, "no directory")
    assert_one_clear_line(called("report", str(run_json), "--png", f"{here}/no/x"), 2, "--png")
    assert_one_clear_line(
        called("report", str(run_json), "-q", "-o", f"{here}/x", "--pcap", str(run_json)), 2, "not a capture"
    )


def test_a_record_cut_short_anywhere_is_one_line(run_json: Path, tmp_path: Path) -> None:
    data = run_json.read_bytes()
    json.loads(data)
    cut = tmp_path / "cut.json"
    for length in (len(data) * fifths // 5 for fifths in range(5)):
        cut.write_bytes(data[:length])
        assert_one_clear_line(called("report", str(cut), "--markdown"), 2, "cut.json")
