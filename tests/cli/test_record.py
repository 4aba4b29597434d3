"""`estab record`: looks at this host until it is stopped; its directory is judged as any recording."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB, assert_one_clear_line, estab
from tests.namespaces import until

from estab.recording.reading import snapshots
from estab.recording.writer import LOCK


def test_what_it_recorded_is_judged(tmp_path: Path) -> None:
    path = str(tmp_path / "recording")
    done = estab("record", "--dir", path, "--interval", "100ms", "--count", "4")
    assert done.returncode == 0
    assert done.stdout.startswith("4 snapshots, ")
    assert done.stdout.endswith(f"in {path}; estab diagnose {path} judges them\n")
    judged = estab("diagnose", path)
    assert judged.returncode in (0, 1)  # others share this host
    assert "4 snapshots" in judged.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    child = subprocess.Popen(
        [ESTAB, "record", "--dir", str(tmp_path), "--interval", "100ms"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: list(tmp_path.glob("estab-*")), why="its first look")  # then it listens to signals too
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    assert f"in {tmp_path}; estab diagnose" in out
    assert len(list(snapshots([str(tmp_path)]))) == int(out.split()[0].replace(",", ""))


def test_a_second_one_says_who_writes_there(tmp_path: Path) -> None:
    with subprocess.Popen([ESTAB, "record", "--dir", str(tmp_path), "-q"]) as child:
        until(lambda: list(tmp_path.glob("estab-*")), why="its first look")
        done = estab("record", "--dir", str(tmp_path), "--count", "1")
        child.terminate()
    assert_one_clear_line(done, 2, f"PID {child.pid}", str(tmp_path), "--dir")
    assert (tmp_path / LOCK).read_text() == f"{child.pid}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--dir", ""), ("--dir is empty",)),
        (("--dir", "/proc/none"), ("--dir /proc/none", "No such file")),
        (("--dir", "x", "--keep", "3"), ("--keep is 3", "60")),
        (("--dir", "x", "--max-bytes", "3"), ("--max-bytes is 3", "1M")),
        (("--dir", "x", "--interval", "1ms"), ("--interval is 0.001", "0.1")),
    ],
)
def test_what_cannot_be(tmp_path: Path, arguments: tuple[str, ...], says: tuple[str, ...]) -> None:
    here = [argument if argument != "x" else str(tmp_path / "x") for argument in arguments]
    assert_one_clear_line(estab("record", *here), 2, *says)
    assert not (tmp_path / "x").exists()


def test_a_full_disk_is_said_once_and_fails_at_the_end(tmp_path: Path) -> None:
    """A directory that takes no new file from the start, as a disk without room takes none."""
    (tmp_path / "full").mkdir()
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec {ESTAB} record --dir {tmp_path}/full --interval 100ms --count 3 -q"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "File too large; going on when it can" in lines[0]
