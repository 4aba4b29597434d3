"""Records read by several threads at once, in a process that has read none before."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from estab.records import SNAPSHOT_SCHEMA, Snapshot, decode, encode
sys.setswitchinterval(1e-6)
together = Barrier(8)

def read(_number):
    together.wait()
    return decode(b'{"schema": "estab.snapshot/1", "taken_at_s": 1, "host": {}}', Snapshot, SNAPSHOT_SCHEMA)

with ThreadPoolExecutor(8) as pool:
    print(len({encode(record) for record in pool.map(read, range(8))}))
"""


def test_the_first_records_of_a_process_may_be_read_by_several_threads() -> None:
    """msgspec collects what a type is made of when it first meets it, and crashes where two threads do."""
    for _ in range(10):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
