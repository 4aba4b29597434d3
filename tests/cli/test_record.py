"""`estab record`: looks at this host until it is stopped; its directory is judged as any recording."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB, assert_one_clear_line, estab, started
from tests.namespaces import in_namespace, until

from estab.errors import ReadError
from estab.recording.reading import snapshots
from estab.recording.segments import kept
from estab.recording.writer import LOCK
from estab.records import Snapshot


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
    child = started("record", "--dir", str(tmp_path), "--interval", "100ms")
    until(lambda: list(tmp_path.glob("estab-*")), why="its first look")  # then it listens to signals too
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    assert f"in {tmp_path}; estab diagnose" in out
    assert len(list(snapshots([str(tmp_path)]))) == int(out.split()[0].replace(",", ""))


def test_a_second_one_says_who_writes_there(tmp_path: Path) -> None:
    with started("record", "--dir", str(tmp_path), "-q") as child:
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


def close_looks(path: Path) -> list[Snapshot]:
    """All close looks that a directory has."""
    files = [path / file.name for file in kept(str(path), close=True)]
    return [taken for file in files for taken in snapshots([str(file)])]


def depths(looks: list[Snapshot]) -> set[int]:
    return {listener.depth for taken in looks for listener in taken.listeners or () if listener.port == 7000}


@pytest.mark.namespace
def test_a_real_overflow_is_looked_at_closely(tmp_path: Path) -> None:
    """A queue with room for three fills: how it did is kept from before it was known to be of interest."""

    def work() -> int:
        with contextlib.ExitStack() as stack:
            stack.enter_context(socket.create_server(("127.0.0.1", 7000), backlog=2))
            command = ("record", "--dir", str(tmp_path), "--interval", "1s", "--once-a-cause", "-q")
            child = stack.enter_context(started(*command))
            stack.callback(child.kill)  # whatever fails, it is not waited for
            until(lambda: len(_recorded(tmp_path)) >= 2, every_s=0.02, why="two looks while all is well")
            for _ in range(9):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", 7000))
            until(lambda: depths(close_looks(tmp_path)) >= {0, 3}, every_s=0.02, why="the empty and the full queue")
            child.send_signal(signal.SIGINT)
            return child.wait(60)

    assert in_namespace(work) == 0
    looks = close_looks(tmp_path)
    first_full = next(number for number, taken in enumerate(looks) if depths([taken]) == {3})
    assert depths(looks[:first_full]) <= {0, 1, 2}
    assert all(later.taken_at_s > earlier.taken_at_s for earlier, later in pairwise(looks))
    (listener,) = looks[first_full].listeners or []
    assert [owner.pid for owner in listener.owners or ()] == [os.getpid()] or listener.owners
    (file,) = kept(str(tmp_path), close=True)
    judged = estab("diagnose", str(tmp_path / file.name))
    assert judged.returncode == 1
    assert "accept_queue_overflow" in judged.stdout


def test_a_full_disk_is_said_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """A real one: a small tmpfs in a mount namespace of its own, filled by somebody else."""
    disk = tmp_path / "disk"
    disk.mkdir()
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = (
        f"mount -t tmpfs -o size=256k none {disk} && cat /dev/zero > {disk}/other 2> /dev/null; exec {ESTAB} record"
    )
    command = ["unshare", "--mount", *own, "sh", "-c", f"{script} --dir {disk} --interval 100ms -q"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        inside = Path(f"/proc/{child.pid}/root{disk}")
        assert (
            child.stderr.readline() == f"estab: can't write to {disk}: No space left on device; going on when it can\n"
        )
        (inside / "other").unlink()
        assert child.stderr.readline() == f"estab: recording to {disk} again\n"
        until(lambda: len(_recorded(inside)) >= 3, every_s=0.02, why="three looks that have room")
        child.terminate()
        assert child.stderr.read() == ""
    assert child.returncode == 0


def _recorded(path: Path) -> list[Snapshot]:
    try:
        return list(snapshots([str(path)]))
    except ReadError:  # none is there yet
        return []
