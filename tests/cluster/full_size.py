"""A load that one port range is too small for (docs/cluster.md), at full size.

`python -m tests.cluster.full_size` takes about a minute and 1 GB, and is no test: it prints.

100,000 connections from two hosts whose port ranges have 60,000 each; then the same through a table of 51,300 flows.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.cluster import hosts
from tests.cluster.hosts import BEHIND_THE_TABLE, SCHEDULER, TARGET, Stage
from tests.namespaces import in_namespace

CONNECTIONS, TABLE, PORTS = "100000", 51_300, "1024 61023"
SERVERS = "8"  # a process has 20,000 descriptors where nobody can raise that
WITHIN_S = 110.0


def _show(stage: Stage, title: str, *arguments: str) -> None:
    began = time.monotonic()
    done = stage.estab(*arguments, timeout_s=WITHIN_S)
    say = sys.stdout.write
    say(f"== {title}: estab {' '.join(arguments)}\n")
    say(f"{done.out.decode()}{done.err}== exit {done.code}, {time.monotonic() - began:.1f} s\n\n")
    sys.stdout.flush()


def _tell() -> None:
    with tempfile.TemporaryDirectory() as folder, hosts.stage(Path(folder), flows=TABLE, ports=PORTS) as stage:
        hosts.serve(stage, "--processes", SERVERS)
        hosts.dask(stage)
        load = ("-n", CONNECTIONS, "-d", "1", "--reset", "--cluster", SCHEDULER)
        _show(stage, "who is there", "cluster", "check", SCHEDULER)
        _show(stage, "two clients", "hold", TARGET, *load)
        slow = ("--in-flight", "10000", "--timeout", "1500ms")
        _show(stage, f"a table of {TABLE:,}", "hold", BEHIND_THE_TABLE, *load, *slow)


if __name__ == "__main__":
    in_namespace(_tell, timeout_s=300)
