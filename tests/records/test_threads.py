"""Records read by several threads at once, in a process that has read none before."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from estab.records import SNAPSHOT_SCHEMA, Snapshot, decode, encode, from_builtins
sys.setswitchinterval(1e-6)
together = Barrier(8)

def read(_number):
    together.wait()
    if sys.argv[1] == "bytes":
        return decode(b'{"schema": "estab.snapshot/1", "taken_at_s": 1, "host": {}}', Snapshot, SNAPSHOT_SCHEMA)
    return from_builtins({"taken_at_s": 1.0, "host": {}}, Snapshot)

with ThreadPoolExecutor(8) as pool:
    print(len({encode(record) for record in pool.map(read, range(8))}))
"""


@pytest.mark.parametrize("taken_from", ["bytes", "builtins"])
def test_the_first_records_of_a_process_may_be_read_by_several_threads(taken_from: str) -> None:
    """msgspec collects what a type is made of when it first meets it, and crashes where two threads do."""
    command = [sys.executable, "-c", SCRIPT, taken_from]
    for _ in range(10):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
