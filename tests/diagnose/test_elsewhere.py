"""A verdict depends on the record alone: where nothing of a machine can be read, the same bytes of JSON come out."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.diagnose import runs

from estab.diagnose import judge, judge_snapshots
from estab.records import RunResult, Snapshot, encode

# Files of the interpreter and of the libraries may be read; nothing of the machine, and no socket may be made.
ELSEWHERE = """
import builtins, io, os, socket, subprocess, sys
import msgspec  # it asks uname() when it is imported, through uuid and platform

def refuse(*_arguments, **_named):
    raise AssertionError("the judge asked the machine")

def no_machine(opener):
    def opened(name, *more, **named):
        text = os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else ""
        if text.startswith(("/proc", "/sys", "/dev")):
            refuse()
        return opener(name, *more, **named)
    return opened

builtins.open, io.open, os.open = no_machine(builtins.open), no_machine(io.open), no_machine(os.open)
socket.socket = subprocess.Popen = os.uname = os.cpu_count = os.getpid = refuse
sys.addaudithook(lambda event, _: refuse() if event.startswith(("socket.", "subprocess.")) else None)

from estab.diagnose import judge, judge_snapshots
from estab.records import RunResult, Snapshot, decode, encode

os.listdir = refuse  # until here the import of the suspects looked for their files
for line in sys.stdin.buffer.read().splitlines():
    if b'"estab.run/1"' in line:
        found = judge(decode(line, RunResult, "estab.run/1"))
    else:
        found = judge_snapshots(None, decode(line, Snapshot, "estab.snapshot/1"))
    sys.stdout.buffer.write(encode(found) + b"\\n")
"""

RECORDS: list[RunResult | Snapshot] = [
    runs.healthy_bench(),
    runs.stalled(),
    runs.dropped(),
    runs.table_full(),
    runs.conntrack_full(),
    runs.reset_by_cookies(),
    runs.storm(),
    runs.starved(),
    runs.stalled(server=runs.remote()),
    runs.snapshot(),
    runs.conntrack(0, 1000, 1000),
]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_same_bytes_where_nothing_of_the_machine_can_be_read(seed: str) -> None:
    here = [encode(judge(r) if isinstance(r, RunResult) else judge_snapshots(None, r)) for r in RECORDS]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        input=b"\n".join(encode(record) for record in RECORDS),
        capture_output=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.splitlines() == here
