"""What a connection costs as they become more: CPU time a request, memory at both ends and in the kernel, counting."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

from benchmarks.own import memory_growth
from benchmarks.sockets import open_sockets
from benchmarks.space import MeasureError
from benchmarks.timing import seconds

REQUESTS_A_SECOND = 10_000
REQUESTED_FOR_S = 3.0
END_WITHIN_S = 120.0
VISIBLE = 10_000  # below so many connections the memory of all else drowns theirs
FEW_REPEATS, REPEATS, MANY = 5, 9, 100_000


def own_growth(_seconds: int, notes: list[str], connections: int) -> dict[str, float | None]:
    """One point of each curve. Times in s, CPU time in µs, memory in bytes; None: too small to be told from noise."""
    idle, counted = _idle(connections)
    asked = _hold(connections, REQUESTED_FOR_S, "--trickle", str(REQUESTS_A_SECOND)).finish()
    quiet = _hold(connections, REQUESTED_FOR_S).finish()
    requests = (asked["requests"] or {}).get("count")
    if not requests:
        raise MeasureError("no request of the trickle was answered")
    one = _hold(1, 0.1).finish()
    for run in (idle, asked, quiet):
        if run["funnel"]["completed"] != connections:
            notes.append(f"{run['funnel']['completed']:,} of {connections:,} connections were held")
    return {
        **counted,
        "connects_a_second": _connect_rate(idle, connections),
        "cpu_us_client": _cpu_a_request(asked, quiet, "client", requests),
        "cpu_us_server": _cpu_a_request(asked, quiet, "server", requests),
        "client_bytes": _own_bytes(idle, one, "client", connections),
        "server_bytes": _own_bytes(idle, one, "server", connections),
    }


def _own_bytes(many: dict[str, Any], one: dict[str, Any], end: str, connections: int) -> float | None:
    if connections < VISIBLE:  # an interpreter's RSS varies by more than so few take
        return None
    return memory_growth(many[end]["workers"], one[end]["workers"], connections)


def _cpu_a_request(asked: dict[str, Any], quiet: dict[str, Any], end: str, requests: int) -> float:
    """µs: what the run with requests took more than the same without. Connecting and closing are in both."""
    took, rest = (sum(worker["cpu_s"] for worker in run[end]["workers"]) for run in (asked, quiet))
    return float(took - rest) / requests * 1e6


def _connect_rate(run: dict[str, Any], connections: int) -> float | None:
    """To the last one of them; None where all were there before the first look at the run."""
    at = next((point["t_s"] for point in run["timeline"] if point["connected"] >= connections), None)
    return connections / at if at and connections >= VISIBLE else None


# -- a run that is looked at from outside -----------------------------------------------------------------------------


def _idle(connections: int) -> tuple[dict[str, Any], dict[str, float | None]]:
    """A run that only holds, and what was counted while it held."""
    before, began = _kernel_bytes(), _CensusTimes(connections)
    run = _hold(connections, began.needs_s)
    run.wait_open(connections)
    after = _kernel_bytes()
    times = began.take()
    pair = (after - before) / connections if connections >= VISIBLE else None
    return run.finish(), {"kernel_bytes": pair, **times}


class _CensusTimes:
    """Counting all sockets: ours and `ss -tan`, in turns. The least of each: what else runs here can only add to it."""

    def __init__(self, connections: int) -> None:
        self.repeats = REPEATS if connections < MANY else FEW_REPEATS
        self.needs_s = 2.0 + self.repeats * connections * 8e-6  # ss takes some 5 µs a pair

    def take(self) -> dict[str, float | None]:
        from estab.observe.sock_diag import SockDiag

        with SockDiag() as diag:
            pairs = [(seconds(diag.census), seconds(_ss)) for _ in range(self.repeats)]
        return {"census_s": min(own for own, _ in pairs), "ss_s": min(ss for _, ss in pairs)}


def _ss() -> None:
    subprocess.run(["ss", "-tan"], check=True, stdout=subprocess.DEVNULL)


def _kernel_bytes() -> int:
    """What the kernel's own allocations take: `Slab` of /proc/meminfo, with the pages of its tables (`VmallocUsed`)."""
    with open("/proc/meminfo", encoding="ascii") as file:
        found = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in file)}
    return (found["Slab"] + found["VmallocUsed"]) * 1024


class _Run:
    """A run of `estab hold` in the background; its output is read all the time, so that it never waits for us."""

    def __init__(self, command: list[str], within_s: float) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._within_s = within_s
        self._said: list[tuple[str, str]] = []
        self._reader = threading.Thread(target=lambda: self._said.append(self._process.communicate()), daemon=True)
        self._reader.start()

    def wait_open(self, connections: int) -> None:
        """Until both ends of all are ESTABLISHED."""
        deadline = time.monotonic() + self._within_s
        while open_sockets() < 2 * connections:
            if not self._reader.is_alive() or time.monotonic() > deadline:
                raise MeasureError(f"{connections:,} connections were not open at once: {self._last()}")
            time.sleep(0.01)

    def finish(self) -> dict[str, Any]:
        """Its record. Raises MeasureError."""
        self._reader.join(self._within_s)
        if self._reader.is_alive():
            self._process.kill()
            raise MeasureError(f"estab hold did not end within {self._within_s:g} s")
        if self._process.returncode not in (0, 1):
            raise MeasureError(f"estab hold ended with {self._process.returncode}: {self._last()}")
        run: dict[str, Any] = json.loads(self._said[0][0].splitlines()[0])
        return run

    def _last(self) -> str:
        said = (self._said[0][1].strip() if self._said else "").splitlines()
        return said[-1] if said else "it said nothing"


def _hold(connections: int, for_s: float, *options: str) -> _Run:
    command = [sys.executable, "-P", "-m", "estab", "hold", "-n", str(connections), "-d", f"{for_s:g}", "--json", "-"]
    return _Run([*command, *options], for_s + END_WITHIN_S)
