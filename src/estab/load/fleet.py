"""The worker processes of one run: started together, read while they run, stopped and collected.

What lives here: processes and their pipes. What they do is the engine's, what they should do is the plan's.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from estab import interpreter, shortage
from estab.errors import MachineError
from estab.load.block import READY, RUNNING, Block

START_LEAD_NS = 2_000_000  # from "go" to the common start: enough for the pipes to be written
STOP_GRACE_S = 3.0  # hung up, a worker ends in milliseconds; on a busy machine its turn may come much later
READY_WITHIN_S = 30.0
_GREATEST = (
    "worst_lag_ns", "worst_late_ns", "connect_max_ns", "request_max_ns", "last_answer_ns", "ended_ns", "settled_ns",
    "schedule_ns", "heard_ns",
)  # fmt: skip


def engine_name() -> str:
    """The engine to use: `c`, or `python` where ESTAB_ENGINE says so."""
    name = os.environ.get("ESTAB_ENGINE", "c")
    if name not in ("c", "python"):
        raise MachineError(f"ESTAB_ENGINE is {name!r}; it can be 'c' or 'python'")
    return name


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """What is started meanwhile never sees SIGINT; ours comes when the block is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerProcess:
    """One process of ours with its block and control pipe."""

    def __init__(self, role: str, config: Mapping[str, Any], pass_fds: Sequence[int] = ()) -> None:
        self.role = role
        self.block = Block.create(f"estab-{role}")
        self.lost: str | None = None
        order = {"role": role, "engine": engine_name(), "block_fd": self.block.fd, "config": dict(config)}
        data = marshal.dumps(order)
        try:
            # A terminal's Ctrl-C goes to the workers too, at their very first moment as well: the parent decides.
            with _interrupts_blocked():
                self.process = subprocess.Popen(
                    interpreter.command("estab.load.worker", bare=True),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=(self.block.fd, *pass_fds),
                )
        except OSError as error:
            self.block.close()
            why = f"can't start a worker process: {error.strerror}; lower `connections`, or raise the limit"
            raise MachineError(shortage.explain(error) or why) from error
        assert self.process.stdin is not None
        self._control = self.process.stdin.fileno()
        self._say(len(data).to_bytes(4, "little") + data)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def _say(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is dead; who polls it will see
            os.write(self._control, data)

    def go(self) -> None:
        """Lets it start, at the moment that its block names."""
        self._say(b"g")

    def close(self) -> None:
        """Asks it to close its connections in order and end."""
        self._say(b"c")

    def is_alive(self) -> bool:
        """Whether it still runs. One that died of itself is noted in `lost`."""
        return self.process.poll() is None

    def hang_up(self) -> None:
        """Closes its control pipe: it stops at once."""
        if self.process.stdin and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def collect(self, within_s: float) -> int:
        """Waits for its end, by force after `within_s` seconds. Its exit status, negative for a signal."""
        try:
            status = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
            self.lost = f"did not stop within {STOP_GRACE_S:g} s and was killed"
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode("utf-8", "replace").strip()
        self.process.stderr.close()
        if status != 0 and self.lost is None:
            how = f"died of signal {-status}" if status < 0 else "failed"
            self.lost = (shortage.explain_words(said) or said.splitlines()[-1]) if said else how
        return status


class Fleet:
    """The workers of one role. A context manager: whatever happens, they are gone when it ends."""

    def __init__(self) -> None:
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        for worker in self.workers:
            worker.block.close()

    def start(self, role: str, configs: Iterable[Mapping[str, Any]], pass_fds: Sequence[Sequence[int]] = ()) -> None:
        """Starts one worker for each config; `pass_fds[i]` are descriptors that the i-th inherits."""
        for i, config in enumerate(configs):
            self.workers.append(WorkerProcess(role, config, pass_fds[i] if pass_fds else ()))

    def pids(self) -> list[int]:
        """The process ids."""
        return [worker.pid for worker in self.workers]

    def wait_until(self, state: int) -> None:
        """Waits until every worker reached `state`. Raises MachineError with what one said that could not start."""
        deadline = time.monotonic() + READY_WITHIN_S
        for worker in self.workers:
            while worker.block.get("state") < state:
                if not worker.is_alive() and worker.block.get("state") < state:
                    status = worker.collect(STOP_GRACE_S)
                    raise MachineError(f"a {worker.role} worker ended at its start (status {status}): {worker.lost}")
                if time.monotonic() > deadline:
                    raise MachineError(f"a {worker.role} worker was not ready within {READY_WITHIN_S:g} s")
                time.sleep(0.001)

    def go(self, at_s: float | None = None) -> int:
        """Starts all clients at the same moment. Returns it, in ns of CLOCK_MONOTONIC.

        `at_s`: the moment as Unix time, by this host's clock; None, or one that has passed: at once.
        """
        self.wait_until(READY)
        start = time.monotonic_ns() + START_LEAD_NS
        if at_s is not None:
            start = max(start, time.monotonic_ns() + round((at_s - time.time()) * 1e9))
        for worker in self.workers:
            worker.block.set("start_ns", start)
        for worker in self.workers:
            worker.go()
        return start

    def wait_serving(self) -> None:
        """Waits until every server worker serves."""
        self.wait_until(RUNNING)

    def close(self) -> None:
        """Asks all to close their connections in order."""
        for worker in self.workers:
            worker.close()

    def alive(self) -> list[WorkerProcess]:
        """Those that still run."""
        return [worker for worker in self.workers if worker.is_alive()]

    def stop(self) -> None:
        """Ends all, prompt but not rude: hang up first, kill what does not listen."""
        for worker in self.workers:
            worker.hang_up()
        until = time.monotonic() + STOP_GRACE_S
        for worker in self.workers:
            if worker.process.stderr and not worker.process.stderr.closed:
                worker.collect(max(0.0, until - time.monotonic()))

    def totals(self) -> dict[str, int]:
        """`totals` of all workers; {} where there are none."""
        return totals(worker.block.counts() for worker in self.workers)


def totals(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The slots summed over all workers; `state` is the least, `worst_*`, `*_max_ns` and ends the greatest."""
    every = list(counts)
    if not every:
        return {}
    summed = {name: sum(worker[name] for worker in every) for name in every[0]}
    for name in _GREATEST:
        summed[name] = max(worker[name] for worker in every)
    summed["started_ns"] = min(worker["started_ns"] for worker in every)
    summed["state"] = min(worker["state"] for worker in every)
    return summed
