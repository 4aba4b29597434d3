"""Held connections with requests over them, and others that come and go, for minutes: does anything grow or drift?

`python -m benchmarks.soak --minutes 10`, in a network namespace of its own. Prints each process's memory and
descriptors early and late, and the run's funnel beside the kernel's own counts. Exit code 0: nothing grew, nothing
differs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks import space

LOOK_S = 0.5
# A worker's two histograms take 528 KiB, a page when it is first counted in; a page more here and there is its heap.
# The parent keeps the course of the run, which is bounded too.
WORKER_KIB, PARENT_KIB = 1_024, 16_384
DESCRIPTORS = 8  # visitors come and go: the middle of many looks moves by a few
KERNEL = ("ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "CurrEstab")


@dataclass(frozen=True)
class Look:
    """What one process held at one moment."""

    t_s: float
    rss_kib: int
    fds: int


@dataclass(frozen=True)
class Growth:
    """The middle of the looks in the second fifth of the run, and in the last."""

    name: str
    rss_kib: tuple[int, int]
    fds: tuple[int, int]

    def is_within(self, rss_kib: int) -> bool:
        """Whether neither grew."""
        return self.rss_kib[1] - self.rss_kib[0] <= rss_kib and self.fds[1] - self.fds[0] <= DESCRIPTORS


def growth(name: str, looks: Sequence[Look]) -> Growth:
    """How `looks`, in order of time, grew. Raises MeasureError where they are too few."""
    if len(looks) < 5:
        raise space.MeasureError(f"{name} was seen {len(looks)} times only; let it run for longer")
    fifth = len(looks) // 5
    early, late = looks[fifth : 2 * fifth], looks[-fifth:]

    def both(values: list[list[int]]) -> tuple[int, int]:
        first, last = (int(statistics.median(part)) for part in values)
        return first, last

    return Growth(
        name,
        both([[look.rss_kib for look in part] for part in (early, late)]),
        both([[look.fds for look in part] for part in (early, late)]),
    )


def kernel_counts() -> dict[str, int]:
    """What the kernel counted in this namespace (RFC 4022; /proc/net/snmp)."""
    rows = [
        line.split()[1:] for line in Path("/proc/thread-self/net/snmp").read_text().splitlines() if line[:4] == "Tcp:"
    ]
    return {name: int(value) for name, value in zip(*rows, strict=True) if name in KERNEL}


def drift(run: dict[str, Any], kernel: dict[str, int]) -> dict[str, tuple[int, int]]:
    """The run's counts and the kernel's, by name. `run` is its JSON, `kernel` the differences of its counts."""
    failed = sum(failure["count"] for failure in run["failures"] if failure["phase"] == "connect")
    return {
        "connects begun (ActiveOpens)": (run["funnel"]["attempted"], kernel["ActiveOpens"]),
        "connections accepted (PassiveOpens)": (run["funnel"]["accepted"], kernel["PassiveOpens"]),
        "connects failed (AttemptFails)": (failed, kernel["AttemptFails"]),
        "open at the end (CurrEstab)": (run["timeline"][-1]["open"], kernel["CurrEstab"]),
        "completed (connected - EstabResets)": (
            run["funnel"]["completed"], run["funnel"]["connected"] - kernel["EstabResets"],
        ),
    }  # fmt: skip


def _look(process: psutil.Process, since: float) -> Look | None:
    try:
        return Look(time.monotonic() - since, process.memory_info().rss // 1024, process.num_fds())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def watch(process: subprocess.Popen[bytes]) -> dict[int, list[Look]]:
    """Looks at the process and its children until it ends, by pid."""
    began, parent, found = time.monotonic(), psutil.Process(process.pid), dict[int, list[Look]]()
    while process.poll() is None:
        try:
            family = [parent, *parent.children()]
        except psutil.NoSuchProcess:
            break
        for one in family:
            if (look := _look(one, began)) is not None:
                found.setdefault(one.pid, []).append(look)
        try:
            process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            continue
    return found


def run(asked: argparse.Namespace) -> tuple[dict[str, Any], list[Growth], dict[str, int]]:
    """The run's record, how each of its processes grew, and what the kernel counted meanwhile."""
    with TemporaryDirectory(prefix="estab-soak-") as folder:
        out = Path(folder) / "run.json"
        before = kernel_counts()
        with subprocess.Popen(
            [
                sys.executable, "-m", "estab", "hold", "-n", str(asked.connections), "-d", str(asked.minutes * 60),
                "--trickle", str(asked.trickle), "--churn-rate", str(asked.churn_rate), "--quiet", "--json", str(out),
            ],
            stdout=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            looks = watch(process)
        after = kernel_counts()
        if not out.exists():
            raise space.MeasureError(f"estab hold ended with {process.returncode} and left no record")
        record: dict[str, Any] = json.loads(out.read_text())
    workers = [*record["client"]["workers"], *record["server"]["workers"]]
    names = {worker["pid"]: f"{worker['role']} {worker['pid']}" for worker in workers}
    names[process.pid] = "parent"
    grown = [growth(names[pid], found) for pid, found in looks.items() if pid in names]
    return record, grown, {name: after[name] - before[name] for name in after}


def judge(record: dict[str, Any], grown: Sequence[Growth], kernel: dict[str, int]) -> bool:
    """Prints all figures. Whether nothing grew and nothing differs."""
    fine = not record["failures"]
    print(f"{record['elapsed_s']:.0f} s, {record['requests']['count']:,} requests, {record['funnel']['attempted']:,} "
          f"connects, {sum(failure['count'] for failure in record['failures'])} failures")  # fmt: skip
    for one in grown:
        within = one.is_within(PARENT_KIB if one.name == "parent" else WORKER_KIB)
        fine = fine and within
        print(f"{one.name}: RSS {one.rss_kib[0]:,} -> {one.rss_kib[1]:,} KiB, "
              f"descriptors {one.fds[0]:,} -> {one.fds[1]:,}{'' if within else '  GREW'}")  # fmt: skip
    for name, (ours, theirs) in drift(record, kernel).items():
        fine = fine and ours == theirs
        print(f"{name}: ours {ours:,}, the kernel's {theirs:,}{'' if ours == theirs else '  DIFFER'}")
    return fine


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--connections", type=int, default=2_000)
    parser.add_argument("--trickle", type=float, default=2_000, help="requests a second over them")
    parser.add_argument("--churn-rate", type=float, default=300, help="connections a second that come and go")
    parser.add_argument(
        "--namespace", choices=["root", "user", "none"], default="root" if os.geteuid() == 0 else "user"
    )
    asked = parser.parse_args(arguments)
    try:
        space.enter(asked.namespace)
        return 0 if judge(*run(asked)) else 1
    except space.MeasureError as error:
        print(error, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
