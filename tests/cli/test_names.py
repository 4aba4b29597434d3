"""Names that others chose: of files, processes and hosts. They may hold anything, and steer nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.cli.terminal import assert_one_clear_line, called, estab, recorded
from tests.forked import forked

from estab.records import encode
from estab.report.annotations import command

pytestmark = pytest.mark.xdist_group("pages")  # what draws them is made once a process

EVIL = "<b>\"'\n\x1b[31m::error::\r\u202e\u2026\U0001f600"


@pytest.fixture(scope="module")
def evil_run() -> bytes:
    """A run of a host with such a name, against such a target."""
    run = recorded(estab("hold", "-n", "3", "-d", "0.05", "--json", "-"))
    host = run.host.replace(hostname=EVIL, kernel=EVIL)
    return encode(run.replace(host=host, engine=EVIL, config={**run.config, "target": EVIL, EVIL: EVIL}))


def steers(text: str) -> set[str]:
    """The characters in it that no name may put there."""
    return {c for c in text if not c.isprintable() and c not in "\n\t"}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize(
    "arguments",
    [("diagnose", "a.json"), ("compare", "a.json", "a.json", "--github"), ("report", "a.json", "--markdown")],
)
def test_letters_that_the_locale_lacks(
    evil_run: bytes, arguments: tuple[str, ...], encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_bytes(evil_run)
    done = subprocess.run(
        **forked(*arguments, env={**os.environ, "PYTHONIOENCODING": encoding}), capture_output=True, check=False,
        timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert not steers(done.stdout.decode("utf-8" if arguments[0] == "report" else encoding))


def test_an_annotation_steers_neither_the_runner_nor_its_reader() -> None:
    said = command("warning", EVIL, EVIL)
    assert said.isprintable()
    assert said.count("::error") == 1, "in the message, where it is text"
    assert said.startswith("::warning title=<b>\"'%0A [31m%3A%3Aerror%3A%3A%0D")


def test_a_page_of_a_file_with_such_a_name(evil_run: bytes, tmp_path: Path) -> None:
    name = EVIL.replace("/", "") + ".json"
    (tmp_path / name).write_bytes(evil_run)
    page = tmp_path / "p\x1b[31m.html"
    done = called("report", str(tmp_path / name), "-o", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    assert not steers(done.stdout)
    assert not steers(page.read_text()) - {"\x7f"}
    assert "<b>\"'" not in page.read_text()


def test_a_file_whose_name_is_no_text(evil_run: bytes, tmp_path: Path) -> None:
    """Linux lets a name be any bytes, and JSON holds text alone."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.json")
    Path(name).write_bytes(evil_run)
    kept = tmp_path / "kept.json"
    more = ("--json", str(kept), "--junit", str(tmp_path / "j.xml"), "--markdown", str(tmp_path / "m.md"))
    done = called("compare", name, name, *more)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"caf\\udce9.json" in kept.read_text()
    assert_one_clear_line(called("diagnose", os.fsdecode(b"caf\xe9")), 2, r"caf\udce9")


@pytest.mark.parametrize("nofile", [10, 16])
def test_a_page_with_hardly_any_descriptors(evil_run: bytes, nofile: int, tmp_path: Path) -> None:
    """What draws panics then, with a page of its own; it is refused before."""
    (tmp_path / "a.json").write_bytes(evil_run)
    done = estab("report", str(tmp_path / "a.json"), "-o", str(tmp_path / "page.html"), nofile=nofile)
    assert_one_clear_line(done, 3, f"`ulimit -n` is {nofile}", "--markdown works")
