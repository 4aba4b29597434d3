"""One measurement in a process, and a network namespace, of its own: one JSON argument in, one JSON line out.

`{"what": "neper", "space": "root", "seconds": 5, "options": {…}}` gives `{"figures": {…}, "notes": […]}`, or
`{"error": "…"}`. A namespace ends with its last process: nothing that is left in TIME_WAIT meets the next measurement.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import classics, growth, own, peers, profile, programs, sockets, stalls, web
from benchmarks.space import MeasureError, enter, set_port_range

END_WITHIN_S = 5.0
ROOT = Path(__file__).resolve().parents[1]
PEERS: Mapping[str, Any] = {
    "neper": peers.neper,
    "neper_stream": peers.neper_stream,
    "netperf": classics.netperf,
    "sockperf": classics.sockperf,
    "tcpkali_hold": classics.tcpkali_hold,
    "go_flood": peers.go_flood,
    "go_hold": peers.go_hold,
    "ss": sockets.ss,
    "wrk": web.wrk,
}
OWN: Mapping[str, Any] = {
    "own_bench": own.own_bench,
    "own_churn": own.own_churn,
    "own_hold": own.own_hold,
    "own_memory": own.own_memory,
    "own_echo": own.own_echo,
    "own_watch": own.own_watch,
    "own_watch_in_turn": own.own_watch_in_turn,
    "own_run": programs.own_run,
    "own_run_cost": programs.own_run_cost,
    "own_http": web.own_http,
    "own_census": sockets.own_census,
    "own_steady_watch": sockets.own_steady_watch,
    "own_growth": growth.own_growth,
    "own_stalls": stalls.own_stalls,
    "own_profile": profile.own_profile,
}


def carry_out(order: Mapping[str, Any]) -> dict[str, Any]:
    """Makes one measurement in this process. Its failure is an `error` in what is returned."""
    notes: list[str] = []
    options = dict(order.get("options", {}))
    try:
        enter(order["space"])
        if port_range := options.pop("port_range", None):
            set_port_range(port_range, order["space"])
        if cores := options.pop("cores", None):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
        what = order["what"]
        if what == "nothing":
            figures = {}
        elif what in PEERS:
            figures = PEERS[what](order["seconds"], **options)
        else:
            figures = OWN[what](order["seconds"], notes, **options)
    except (MeasureError, ValueError, OSError) as error:
        return {"error": str(error)}
    except Exception as error:  # estab's own errors, and its bugs: either is a line in the table, not a traceback
        return {"error": f"{type(error).__name__}: {error}"}
    return {"figures": figures, "notes": notes}


class Runner:
    """Starts measurements, each in the same kind of namespace."""

    def __init__(self, space: str, seconds: int) -> None:
        self.space, self.seconds = space, seconds

    def measure(self, what: str, options: Mapping[str, str | int], within_s: float = 300.0) -> dict[str, Any]:
        """Makes one measurement in a process of its own, and ends whatever it left behind."""
        order = {"what": what, "space": self.space, "seconds": self.seconds, "options": dict(options)}
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.measure", json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=ROOT,
        ) as process:
            try:
                output, said = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                return {"error": f"no figure within {within_s:g} s"}
            finally:
                end_group(process)
        try:
            answer: dict[str, Any] = json.loads(output.splitlines()[-1])
        except (IndexError, ValueError):
            last = said.strip().splitlines()[-1:] or ["nothing"]
            return {"error": f"the measurement ended with {process.returncode}; it said: {last[0]}"}
        return answer


def end_group(process: subprocess.Popen[str]) -> None:
    """Where the measurement still runs, ends it with all that it started: it leads a process group of its own."""
    if process.poll() is None:
        process.terminate()  # it ends what it started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_WITHIN_S)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def find_space() -> tuple[str, str]:
    """The best kind of namespace that this machine gives, and, in words, what that is."""
    why = ""
    for kind, words in (("root", "a fresh network namespace"), ("user", "a fresh network and user namespace")):
        answer = Runner(kind, 1).measure("nothing", {}, within_s=30)
        if "error" not in answer:
            return kind, f"each measurement in {words}"
        why = answer["error"]
    return "none", (
        f"no network namespace can be made here ({why}): TIME_WAIT left by one measurement takes ports from the next, "
        "so read churn and hold with care"
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    print(json.dumps(carry_out(json.loads(sys.argv[1]))))
