"""Where the time of a run goes: `perf record` over the processes that carry load, by program and kernel function."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.space import finished

LOADS = {
    "rr": ("bench", "-c", "100", "-s", "64"),
    "churn": ("churn", "-c", "100", "-s", "1"),
    "hold": ("hold", "-n", "18000"),
}
MOST_FUNCTIONS = 10
_LINE = re.compile(r"^\s*(\d+\.\d+)%\s+(\d+):\S+\s+(.+?)\s*$", re.MULTILINE)
_OWN = {"_engine.abi3.so": "engine", "[kernel.kallsyms]": "kernel", "libc.so.6": "libc", "[vdso]": "vdso"}


def own_profile(seconds: int, notes: list[str], load: str) -> dict[str, float]:
    """Shares of the samples, 0 to 1: by program (`in …`), and of the kernel's functions (`fn …`), the greatest."""
    command, *options = LOADS[load]
    span = "1ms" if command == "hold" else str(seconds)
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "perf.data")
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", data]
        estab = [sys.executable, "-P", "-m", "estab", command, *options, "-d", span, "--json", "-"]
        said = finished([*record, *estab], seconds + 60, lambda status: status in (0, 1))
        pids = _workers(json.loads(said.splitlines()[0]))
        programs, functions = shares(_report(data, "dso"), pids), shares(_report(data, "sym"), pids)
    notes.append(" ".join(["estab", command, *options]))
    found: dict[str, float] = {}
    for name, share in programs:
        key = "in " + _OWN.get(name, "Python" if "python" in name or ".cpython" in name else "rest")
        found[key] = found.get(key, 0.0) + share
    kernel = [(name[4:].split(".")[0], share) for name, share in functions if name.startswith("[k] ")]
    return found | {f"fn {name}": share for name, share in kernel[:MOST_FUNCTIONS]}


def _workers(run: dict[str, Any]) -> set[int]:
    """The processes that carry load. The one that watches is another: what it costs is a case of its own."""
    return {worker["pid"] for end in ("client", "server") for worker in run[end]["workers"]}


def _report(data: str, sort: str) -> str:
    command = ["perf", "report", "-i", data, "--stdio", "--no-children", "--sort", f"pid,{sort}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shares(text: str, pids: set[int]) -> list[tuple[str, float]]:
    """Name and share of these processes' samples, 0 to 1, from a `perf report` by pid and name; the greatest first."""
    found: dict[str, float] = {}
    for percent, pid, name in _LINE.findall(text):
        if int(pid) in pids:
            found[name] = found.get(name, 0.0) + float(percent)
    total = sum(found.values())
    return sorted(((name, percent / total) for name, percent in found.items()), key=lambda one: -one[1])
