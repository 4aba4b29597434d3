"""A runner that is killed, at any moment, leaves nothing; Ctrl-C leaves what was finished; and nobody needs root.

What counts as ours: every process with a mark in its environment, every network namespace that one of them was seen in
or held open, and every file in the /tmp, /run, /dev/shm, home and working directory that only the runner sees (as root,
by bind mounts in a mount namespace of its own; without root TMPDIR says where temporary files go).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import processes
from tests.lab.played import each_scenario
from tests.processes import marked

import estab
from estab.lab.parts.scenario import find
from estab.records.lab import LabScenario

pytestmark = pytest.mark.namespace

SEED = int(os.environ.get("ESTAB_KILL_SEED", "4"))
MOMENTS = 10
WITHIN_S = 20.0  # none of it waits for anything: a busy machine needs some of it
ROOT = os.geteuid() == 0
SCENARIOS = (
    "accept_queue_overflow", "syn_queue_overflow", "cookie_reset", "path_flow_table_full", "server_open_files",
    "short_connection_storm", "accept_thread_starved", "all",
)  # fmt: skip
_OURS = {"TMPDIR": "tmp", "HOME": "home"}
_ASIDE = ("tmp", "run", "shm", "home", "cwd")
# What the runner sees in place of /tmp and others; what it needs from there stays visible.
_SECLUDED = """
set -e
aside=$1; keep=$2; shift 2
for path in $keep; do
  mkdir -p "$aside/tmp/${path#/tmp/}"; mount -n --rbind "$path" "$aside/tmp/${path#/tmp/}"
done
mount -n --bind "$aside/run" /run
mount -n --bind "$aside/shm" /dev/shm
cd "$aside/cwd"
mount -n --rbind "$aside/tmp" /tmp
exec "$@"
"""


# -- what is there -----------------------------------------------------------------------------------------------------


def _inode(path: str) -> int | None:
    """The inode of a network namespace that `path` (below /proc) is a link to."""
    with contextlib.suppress(OSError):
        text = os.readlink(path)
        if text.startswith("net:["):
            return int(text[5:-1])
    return None


def namespaces_of(pid: int, *, held: bool = True) -> set[int]:
    """The network namespaces that a process is in, thread by thread, or keeps open."""
    paths = [f"/proc/{pid}/ns/net"]
    with contextlib.suppress(OSError):
        paths += [f"/proc/{pid}/task/{task}/ns/net" for task in os.listdir(f"/proc/{pid}/task")]
    with contextlib.suppress(OSError):
        paths += [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")] if held else []
    return {inode for inode in map(_inode, paths) if inode}


def state(pid: int) -> str:
    """One letter, as ps shows it; empty where there is no such process."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return ""


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
    return ""


def mounts() -> set[str]:
    """Where something is mounted in this mount namespace, and what.

    But for /run/netns, where others name namespaces of theirs meanwhile: the runner has a /run of its own.
    """
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    found = [line.split()[2:5] for line in lines]
    return {" ".join(fields) for fields in found if not fields[2].startswith("/run/netns")}


def links() -> set[str]:
    """The network devices of the namespace that the runner is started in."""
    return {name for _index, name in socket.if_nameindex()}


@dataclass
class Runner:
    """`estab lab run` under watch. `seen` namespaces and `processes` of it; `aside` are the directories it sees.

    `before`: the processes that were there before it.
    """

    process: subprocess.Popen[str]
    mark: str
    aside: Path
    keep: set[Path]
    before: set[int]
    mounts: set[str] = field(default_factory=mounts)
    links: set[str] = field(default_factory=links)
    processes: set[int] = field(default_factory=set)
    namespaces: set[int] = field(default_factory=set)

    def watch(self, until: Callable[[], bool]) -> None:
        """Looks at what it has until that holds or it has ended."""
        host = namespaces_of(os.getpid(), held=False)
        while self.process.poll() is None and not until():
            found = marked(self.mark, self.before)
            self.processes |= found
            for pid in found:
                self.namespaces |= namespaces_of(pid) - host
            time.sleep(0.02)

    def left(self) -> list[str]:
        """What of it is still there."""
        still = marked(self.mark)
        found = [f"process {pid} ({state(pid)}) {command(pid)}" for pid in still]
        # Those of others are not looked at: the numbers of namespaces that are gone are given to new ones at once.
        for pid in still | self.processes:
            found += [f"namespace {inode} at process {pid}" for inode in namespaces_of(pid) & self.namespaces]
        found += [f"mount {one}" for one in mounts() - self.mounts]
        found += [f"link {name}" for name in links() - self.links]
        kept = {path for whole in self.keep for path in (whole, *whole.parents)}
        for name in _ASIDE:
            found += [f"file {path}" for path in self._files(self.aside / name, kept)]
        return found

    def _files(self, folder: Path, kept: set[Path]) -> list[Path]:
        found = []
        for path in folder.iterdir():
            inside = path.is_relative_to(self.aside / "tmp")
            as_seen = "/tmp" / path.relative_to(self.aside / "tmp") if inside else path
            if as_seen not in kept:
                found.append(path)
            elif as_seen not in self.keep:
                found += self._files(path, kept)
        return found

    def gone(self) -> list[str]:
        """What is still there after some time; nothing, as it should be."""
        deadline = time.monotonic() + WITHIN_S
        while (found := self.left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found


@contextlib.contextmanager
def running(python: tuple[str, ...], keep: set[Path], *arguments: str) -> Iterator[Runner]:
    """`estab lab run …` with directories of its own; `python` starts it, as somebody else perhaps."""
    mark = f"ESTAB_TEST_MARK={random.getrandbits(64):016x}"
    name, _, value = mark.partition("=")
    aside = Path(tempfile.mkdtemp(prefix="killed-", dir="/var/tmp"))
    aside.chmod(0o755)
    for folder in _ASIDE:
        (aside / folder).mkdir()
        (aside / folder).chmod(0o1777)
    command = [*python, "-P", "-m", "estab", "lab", "run", *arguments]
    environment = {**os.environ, name: value, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    environment |= {key: str(aside / folder) for key, folder in _OURS.items()}
    if ROOT:
        environment["TMPDIR"] = "/tmp"
        here = " ".join(str(path) for path in keep)
        script = ["sh", "-c", _SECLUDED, "sh", str(aside), here]
        command = ["unshare", "-m", "--propagation", "private", *script, *command]
    before = processes.running()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        cwd=aside / "cwd", start_new_session=True,
    )  # fmt: skip
    try:
        yield Runner(process, mark, aside, keep, before)
    finally:
        if process.poll() is None:
            process.kill()
        for pid in marked(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=20)
        shutil.rmtree(aside, ignore_errors=True)


# -- who runs it -------------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody(ordinary_python: tuple[str, ...]) -> tuple[tuple[str, ...], set[Path]]:
    """How uid 65534 starts Python with estab, and what must stay visible to it."""
    return ordinary_python, needed()


def needed() -> set[Path]:
    """What the runner needs of /tmp: this interpreter and its packages, where they are there."""
    folders = {Path(sys.prefix), Path(sysconfig.get_path("purelib")), Path(estab.__file__).parent}
    inside = {path for path in folders if path.is_relative_to("/tmp")}
    return {path for path in inside if not any(other in path.parents for other in inside)}


# -- killed ------------------------------------------------------------------------------------------------------------


def moments(seed: int, number: int) -> list[tuple[int, str, float]]:
    """Which scenario is ended when: seconds after its start, from when Python has barely begun to the remedies."""
    chance = random.Random(seed)
    return [(place, chance.choice(SCENARIOS), round(chance.uniform(0.1, 2.6), 3)) for place in range(number)]


def after(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def killed(who: tuple[tuple[str, ...], set[Path]], scenario: str, at_s: float) -> tuple[list[str], str]:
    """What is left of a runner that is killed at that moment, and what was seen of it before."""
    with running(*who, scenario) as runner:
        runner.watch(after(at_s))
        if at_s >= 1.2:  # those are to be killed at work, however late a busy machine begins it
            runner.watch(lambda: len(runner.processes) >= 3 and len(runner.namespaces) >= 3)
        assert runner.process.poll() is None, f"it ended by itself: {runner.process.communicate()}"
        runner.process.kill()
        runner.process.wait(timeout=20)
        left = runner.gone()
        return left, f"{len(runner.processes)} processes, {len(runner.namespaces)} namespaces"


@pytest.fixture(scope="module")
def all_killed(request: pytest.FixtureRequest) -> dict[int, Future[tuple[list[str], str]]]:
    """By its place among the moments. Three side by side: a runner has its own marks, directories and namespaces."""
    root = (sys.executable,), needed()
    nobody = (request.getfixturevalue("ordinary_python"), needed()) if ROOT else root
    with ThreadPoolExecutor(3) as pool:
        return {
            place: pool.submit(killed, nobody if place % 3 == 2 else root, scenario, at_s)
            for place, scenario, at_s in moments(SEED, MOMENTS)
        }


@pytest.mark.long  # at moments that are drawn
@pytest.mark.parametrize(("place", "scenario", "at_s"), moments(SEED, MOMENTS))
def test_kill_9_leaves_nothing(
    place: int, scenario: str, at_s: float, all_killed: dict[int, Future[tuple[list[str], str]]]
) -> None:
    left, seen = all_killed[place].result()
    print(f"seed {SEED}: {scenario} at {at_s} s: {seen}")
    assert left == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_while_the_server_is_stopped(number: signal.Signals) -> None:
    """A stopped process can't see that its parent is gone: only the kernel can end it."""
    with running((sys.executable,), needed(), "cookie_reset", "--set", "pause=10s", "--json", "-") as runner:
        runner.watch(lambda: any(state(pid) == "T" for pid in runner.processes))
        assert runner.process.poll() is None
        os.kill(runner.process.pid, number)
        runner.process.communicate(timeout=20)
        assert runner.gone() == []


@pytest.mark.long
@pytest.mark.parametrize(("place", "scenario", "at_s"), moments(SEED + 1, 8))
def test_ctrl_c_leaves_nothing_and_says_so(place: int, scenario: str, at_s: float) -> None:
    with running((sys.executable,), needed(), scenario, "--json", "-") as runner:
        runner.watch(lambda: bool(runner.namespaces))  # the lab's own process has begun; before, nothing is to be said
        runner.watch(after(at_s))
        os.killpg(runner.process.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
        out, err = runner.process.communicate(timeout=20)
        assert runner.process.returncode == 130, (place, out, err)
        assert "Traceback" not in err
        said = json.loads(out)
        assert said["interrupted"] is True
        assert said["scenarios"] == []
        assert runner.gone() == []


def test_ctrl_c_keeps_what_was_finished() -> None:
    with running((sys.executable,), needed(), "nobody_listening", "path_filtered", "--json", "run.json") as runner:
        stdout = runner.process.stdout
        assert stdout is not None
        runner.watch(lambda: bool(select.select([stdout], [], [], 0)[0]))  # the first one's table is there
        runner.watch(after(0.2))  # into the second
        os.killpg(runner.process.pid, signal.SIGINT)
        out, err = runner.process.communicate(timeout=20)
        assert runner.process.returncode == 130, err
        assert out.strip().splitlines()[-1].startswith("interrupted; 1 of 1 scenario as predicted")
        written = runner.aside / "cwd" / "run.json"
        said = json.loads(written.read_bytes())
        written.unlink()
        assert said["interrupted"] is True
        assert [(one["name"], one["status"]) for one in said["scenarios"]] == [("nobody_listening", "as_predicted")]
        assert runner.gone() == []


# -- as an ordinary user -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", each_scenario(["backlog_clamped", "server_not_accepting", "server_open_files"]))
def test_an_ordinary_user_sees_what_root_sees(
    scenario: str, played: dict[str, LabScenario], nobody: tuple[tuple[str, ...], set[Path]]
) -> None:
    with running(*nobody, scenario, "--json", "-") as by_nobody:
        other = outcome(by_nobody)
    assert (os.geteuid(), other["euid"]) == (0, 65534)
    (one,) = other["scenarios"]
    assert verdict(one) == verdict(msgspec.to_builtins(played[scenario]))
    assert (one["status"], one["cause"]) == ("as_predicted", find(scenario).cause)
    assert all(remedy["works"] in (None, remedy["claimed"]) for remedy in one["remedies"])
    assert one["accused_in_control"] == []


def outcome(runner: Runner) -> dict[str, Any]:
    out, err = runner.process.communicate(timeout=60)
    assert runner.process.returncode == 0, out + err
    found: dict[str, Any] = json.loads(out)
    return found


def verdict(one: dict[str, Any]) -> tuple[Any, ...]:
    """Of a scenario what was judged, measured and found to mend it; texts, times and process numbers aside."""
    return (
        one["name"], one["status"], one["cause"], one["accused_in_control"],
        [(row["what"], row["predicted"], row["measured"], row["agrees"]) for row in one["rows"]],
        [(re.sub(r"(-p|pid|jstack|-QUIT) \d+", r"\1 PID", remedy["command"]), remedy["works"])
         for remedy in one["remedies"]],
    )  # fmt: skip
