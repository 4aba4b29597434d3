"""Plays one situation and prints what came of it as JSON: a fork of `runner.py`'s, process 1 of a PID namespace.

All that it starts ends with it. Its network namespace is never the host's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from tests.field import cgroups, evidence, stage
from tests.field.evidence import Evidence
from tests.field.mark import Said
from tests.field.situation import PORT, Situation
from tests.field.stage import NotSetUp, Stage
from tests.forked import forked_call
from tests.namespaces import ChildFailed, counters, go_on_as_process_1, run

from estab.cli import main
from estab.diagnose.episodes import diagnosis_of
from estab.lab.process import linux
from estab.observe import via
from estab.records import EPISODES_SCHEMA, Episodes

_COMMAND_S = 60.0
_ALL_S = 100
_ESTAB = [sys.executable, "-m", "estab"]
_KEEPS_JSON = ("hold", "churn", "bench", "probe", "diagnose", "limits", "attach", "run")


def alone(situation: Situation) -> None:
    """Leaves the host's network for good, plays it and prints the outcome. For a process that ends with it."""
    go_on_as_process_1()
    signal.signal(signal.SIGALRM, lambda *_: os._exit(1))  # process 1 ignores what it has no handler for
    signal.alarm(_ALL_S)
    try:
        said, unproved = _play(situation, _own_folder())
        outcome: dict[str, Any] = {"said": asdict(said), "unproved": unproved}
    except (NotSetUp, ChildFailed, OSError, subprocess.TimeoutExpired) as error:
        outcome = {"unproved": [f"{type(error).__name__}: {error}"]}
    except Exception:
        outcome = {"unproved": [traceback.format_exc()]}
    print(json.dumps(outcome), flush=True)


def _own_folder() -> Path:
    """A folder in memory that only this mount namespace has: it ends with it, however that ends."""
    needed = [Path(path).resolve() for path in (__file__, sys.executable, sys.prefix, sys.base_prefix)]
    for folder in map(Path, ("/mnt", "/media", "/srv", "/opt")):
        if folder.is_dir() and not any(path.is_relative_to(folder) for path in needed):
            run("mount", "-t", "tmpfs", "-o", "mode=755", "field", str(folder))
            return folder
    raise NotSetUp("this machine has none of /mnt, /media, /srv, /opt to mount a folder at")


def _play(situation: Situation, folder: Path) -> tuple[Said, list[str]]:
    with stage.tidy(stage.build(situation.world, folder)) as built:
        for program in situation.programs:
            built.start(program)
        time.sleep(situation.settle_s)  # what the programs of `before` began has come about, or its proof fails
        said, seen = _judged(situation, built)
        for name in built.processes:
            seen.logs[name] = built.log(name).read_text(encoding="utf-8", errors="replace")
    return said, [proof.text for proof in situation.proofs if not proof.holds(seen)]


def _judged(situation: Situation, built: Stage) -> tuple[Said, Evidence]:
    """The commands of estab, the last of which is judged, and what was seen from outside meanwhile."""
    counts = {name: evidence.counters(space) for name, space in built.places.items()}
    tracked = {name: evidence.conntrack(space) for name, space in built.places.items()}
    turns = {name: evidence.turns(process.pid) for name, process in built.processes.items()}
    held_back = {name: cgroups.counts(groups) for name, groups in built.cgroups.items()}
    started_s = time.monotonic()
    unix = any(program.socket for program in situation.programs)
    with evidence.Looking(built.places, PORT, situation.look_s, unix=unix) as looking, _acting(situation, built):
        for command in situation.first:
            _run(built, situation, command, folder_name="first")
        said = _run(built, situation, situation.command, folder_name="run", prefix=situation.prefix)
    seen = Evidence(looks=looking.looks, seconds=time.monotonic() - started_s)
    seen.turns = {name: evidence.turns(built.processes[name].pid) - before for name, before in turns.items()}
    for name, groups in built.cgroups.items():
        before = held_back.get(name, {})
        seen.cgroups[name] = {key: value - before.get(key, 0) for key, value in cgroups.counts(groups).items()}
    for name, space in built.places.items():
        after, flows = evidence.counters(space), evidence.conntrack(space)
        seen.counters[name] = {key: value - counts[name].get(key, 0) for key, value in after.items()}
        seen.conntrack[name] = {key: value - tracked[name].get(key, 0) for key, value in flows.items()}
        seen.rules[name] = evidence.rules(space)
    return said, seen


@contextlib.contextmanager
def _acting(situation: Situation, built: Stage) -> Iterator[None]:
    """What comes later is done in a thread while the block runs. Raises NotSetUp where some of it never came."""
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        acts = pool.submit(_act, situation, built, ended)
        try:
            yield
        finally:
            ended.set()
        acts.result()


def _act(situation: Situation, built: Stage, ended: threading.Event) -> None:
    with built.places["server"].entered():
        before = counters()
        for later in situation.later:
            while counters()[later.counter] - before[later.counter] < later.rises and not ended.wait(0.01):
                pass
            if ended.wait(later.after_s):
                raise NotSetUp(f"estab ended before {later} came")
            built.act(later)


def _run(built: Stage, situation: Situation, command: str, *, folder_name: str, prefix: tuple[str, ...] = ()) -> Said:
    words = shlex.split(built.filled(command))
    record = built.folder / f"{folder_name}.json"
    if words[0] in _KEEPS_JSON:
        words[1:1] = ["--json", str(record)]
    if situation.both_ends:
        inside = f"nsenter --net={built.places['server'].path} {shlex.join(_ESTAB)} observe --port {PORT}"
        words += ["--server-via", inside]
    with built.places[situation.at].entered():
        done = subprocess.run(
            **_started(words, prefix), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=_COMMAND_S,
        )  # fmt: skip
    text = done.stdout + done.stderr
    if record.exists() and record.stat().st_size:
        return said_in_record(json.loads(record.read_text(encoding="utf-8")), done.returncode, text)
    return said_in_metrics(done.returncode, text) if words[0] == "export" else said_on_screen(done.returncode, text)


def _started(words: list[str], prefix: tuple[str, ...]) -> dict[str, Any]:
    """`estab` as a fork, which looks at the server by a fork too; executed where another program starts it."""
    env = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    if prefix:
        return {"args": [*prefix, *_ESTAB, *words], "env": env}

    def run_estab() -> None:
        via.subprocess = _ForkedObserver  # type: ignore[assignment]
        main.run(words)

    return forked_call(run_estab, "estab", *words, env=env)


class _ForkedObserver:
    """Takes the place of `subprocess` in `estab.observe.via`: to start Python there takes longer than to look."""

    DEVNULL, PIPE = subprocess.DEVNULL, subprocess.PIPE

    @staticmethod
    def Popen(words: list[str], *, env: Mapping[str, str], **streams: Any) -> subprocess.Popen[bytes]:  # noqa: N802
        """What `nsenter --net=FILE python -m estab …` does."""
        file, arguments = words[1].removeprefix("--net="), words[2 + len(_ESTAB) :]

        def observe() -> None:
            with open(file, "rb") as space:
                linux.setns(space.fileno())
            main.run(arguments)

        return subprocess.Popen(**forked_call(observe, "estab", *arguments, env=env), **streams)


def said_in_record(record: dict[str, Any], code: int, text: str) -> Said:
    """From what a run, `diagnose` or `limits` writes with --json."""
    is_recording = record.get("schema") == EPISODES_SCHEMA
    diagnosis = _of_episodes(record) if is_recording else record.get("diagnosis") or record
    suspects = diagnosis.get("suspects", [])
    cause = diagnosis.get("cause")
    return Said(
        exit=code,
        text=text,
        cause=cause,
        possible=tuple(suspect["cause"] for suspect in suspects if suspect["verdict"] == "possible"),
        remedies=tuple(
            f"{remedy['command']} — {remedy['why']}"
            for suspect in suspects
            if suspect["cause"] == cause
            for remedy in suspect["remedies"]
            if remedy["works"]
        ),
        record={key: value for key, value in record.items() if key != "timeline"},
    )


def _of_episodes(record: dict[str, Any]) -> Any:
    """What the headline says of a recording, as a diagnosis."""
    return msgspec.to_builtins(diagnosis_of(msgspec.convert(record, Episodes)))


def said_on_screen(code: int, text: str) -> Said:
    """From `watch --once`, which writes no JSON: the line that begins with "Verdict"."""
    line = re.search(r"^Verdict +(.*)$", text, re.MULTILINE)
    words = line[1] if line else ""
    cause = re.match(r"([a-z]+(?:_[a-z]+)+)\b", words)
    listed = re.search(r"Possible: ([a-z_, ]+)", words)
    return Said(
        exit=code,
        text=text,
        cause=cause[1] if cause else None,
        possible=tuple(listed[1].replace(" ", "").split(",")) if listed else (),
    )


def said_in_metrics(code: int, text: str) -> Said:
    """From `export`: the causes whose gauge is 1."""
    causes = re.findall(r'^estab_cause\{cause="(\w+)".* 1\.0$', text, re.MULTILINE)
    possible = re.findall(r'^estab_cause_possible\{cause="(\w+)".* 1\.0$', text, re.MULTILINE)
    return Said(exit=code, text=text, cause=causes[0] if causes else None, possible=tuple(possible))
