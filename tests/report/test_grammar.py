"""One connect was, two connects were: every text about a run or a host, with each number in it 0, 1, 2 and 1,000."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from tests.diagnose import runs

from estab.diagnose.judge import judge
from estab.diagnose.snapshots import judge_snapshots
from estab.live.judgement import ListenerFacts
from estab.live.judgement import judge as condition
from estab.records import RUN_SCHEMA, Diagnosis, Listener, Process, RunResult, decode, encode
from estab.report.failure import failure_text, faults
from estab.report.html.subject import PageSubject
from estab.report.html.view import view
from estab.report.text import render

NUMBERS = (0, 1, 2, 1000)
SHAPES: dict[str, Callable[[], RunResult]] = {
    name: shape
    for name, shape in vars(runs).items()
    if callable(shape) and getattr(shape, "__annotations__", {}).get("return") == "RunResult" and name != "run"
}
# What names something, what holds for a machine, and what only the kernel's documented values can be.
_KEPT = ("port", "pid", "family", "inode", "sysctls", "schema", "cores", "memory_bytes", "euid")
_NOUN = (
    "(connects?|connections?|failures?|packets?|segments?|times?|ports?|places?|descriptors?|samples?|drops?|SYNs?|ACKs?|"
    "requests?|timeouts?|process(?:es)?|address(?:es)?|flows?|cores?|attempts?|bytes?|snapshots?|ghosts?)"
)
_VERB = "(was|were|is|are|waits?|exists?|comes?)"
_COUNTED = re.compile(rf"(?<![\w.,:/-])(0|1|2|1,000) (?!mostly|first)(?:[a-z-]+ )?{_NOUN}(?: {_VERB})?\b")
_ONE = {"process", "address", "was", "is", "waits", "exists", "comes", None}
_MANY = {"were", "are", "wait", "exist", "come", None}


def with_number(value: Any, number: int, key: str = "") -> Any:
    """A record in which every count is this one."""
    if key in _KEPT:
        return value
    if isinstance(value, dict):
        return {name: with_number(below, number, name) for name, below in value.items()}
    if isinstance(value, list):
        return [with_number(below, number) for below in value]
    return number if isinstance(value, int) and not isinstance(value, bool) else value


def wrong(text: str) -> list[str]:
    said, mistakes = " ".join(text.split()), []
    for match in _COUNTED.finditer(said):
        number, noun, verb = match.groups()
        single = noun in _ONE or not noun.endswith("s")
        if single is not (number == "1") or verb not in (_ONE if number == "1" else _MANY):
            mistakes.append(said[max(0, match.start() - 30) : match.end() + 20])
    return mistakes


def told(diagnosis: Diagnosis) -> str:
    parts = [diagnosis.summary]
    for suspect in diagnosis.suspects:
        parts += [suspect.summary, *(fact.text for fact in suspect.evidence), *(r.why for r in suspect.remedies)]
    return "\n".join(part for part in parts if part)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", SHAPES)
def test_a_run(name: str, number: int) -> None:
    data = with_number(json.loads(encode(SHAPES[name]().replace(diagnosis=None))), number)
    run = decode(json.dumps(data).encode(), RunResult, RUN_SCHEMA)
    run = run.replace(diagnosis=judge(run))
    assert run.diagnosis is not None
    out = io.StringIO()
    render(run, Console(file=out, width=200))
    page = view(PageSubject(title="run", diagnosis=run.diagnosis, run=run))
    texts = [told(run.diagnosis), out.getvalue(), failure_text(run, faults(run)), page["asked"]]
    texts += [" ".join(figure) for figure in page["figures"]]
    assert [each for text in texts for each in wrong(text)] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_host(number: int) -> None:
    owner = Process(pid=9, name="app", fds=number, nofile_soft=number, nofile_hard=number)
    listeners = [
        Listener(family=4, address="0.0.0.0", port=80, depth=depth, limit=number, drops=drops, inode=7, owners=[owner])
        for depth, drops in ((number, 0), (number + 1, number))
    ]
    for tables in (None, runs.conntrack(drop=number, count=number, maximum=number).conntrack):
        before, after = (runs.snapshot(listeners=[listener], conntrack=tables) for listener in listeners)
        after = after.replace(taken_at_s=3.0)
        assert wrong(told(judge_snapshots(before, after)) + told(judge_snapshots(None, after))) == []


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("depth", NUMBERS)
def test_a_listener_while_it_moves(depth: int, number: int) -> None:
    owner = Process(pid=9, name="app", fds=number, nofile_soft=number)
    for facts in (
        ListenerFacts(depth, number),
        ListenerFacts(depth, number, drops_per_s=float(number)),
        ListenerFacts(depth, 10_000, unmoved_s=9.0),
        ListenerFacts(depth, number, owners=(owner,)),
    ):
        assert wrong(condition(facts).says) == []
