"""The runs: each kernel is made ready once, its work is cut into parts, each part is done in a guest of its own."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.kernels import inside, uml
from tests.kernels.apt import Apt, CannotHave, Package
from tests.kernels.catalogue import UML, Kernel
from tests.kernels.guest import Boots, Guest, Lost, host_itself, write_order
from tests.kernels.outcomes import run_of
from tests.kernels.qemu import Emulator
from tests.kernels.results import KernelRun

LINES = "outcomes.jsonl"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """What one guest does: the rules (`rules`: further arguments of pytest), or scenarios; `seconds` at most."""

    kernel: Kernel
    rules: tuple[str, ...] | None
    scenarios: tuple[str, ...]
    seconds: float

    @property
    def said(self) -> str:
        """In words."""
        what = ["rules"] if self.rules is not None else []
        return f"{self.kernel.name}: {', '.join((*what, *self.scenarios))}"


class Runs:
    """Does parts, `jobs` at a time; `told` hears a line for each. Leaving it ends all, and leaves nothing behind."""

    def __init__(self, apt: Apt, cache: Path, jobs: int, told: Callable[[str], None]) -> None:
        self._apt, self._cache, self._jobs, self._told = apt, cache, jobs, told
        self._boots = Boots()
        self._stack = ExitStack()
        self._making = threading.Lock()
        self._guests: dict[Kernel, Guest] = {}
        self.cpu_s = 0.0  # of all guests that are over: what the processors share, however busy they are

    def __enter__(self) -> Runs:
        # Its path is an address of a UNIX socket's: it must be short.
        self._directory = Path(self._stack.enter_context(TemporaryDirectory(prefix="kernels")))
        self._stack.callback(self._boots.stop)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def fetch(self, kernel: Kernel) -> None:
        """Have all that it needs in the cache. Raises CannotHave."""
        self._ready(kernel)

    def all(self, parts: Sequence[Part]) -> list[KernelRun]:
        """What came of them, a record for each kernel."""
        rows: dict[Kernel, Rows] = defaultdict(list)
        with ThreadPoolExecutor(self._jobs) as pool:
            done = [(part.kernel, pool.submit(self._do, number, part)) for number, part in enumerate(parts)]
            try:
                for kernel, future in done:
                    rows[kernel] += future.result()
            except BaseException:
                self._boots.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return [run_of(kernel, of_kernel) for kernel, of_kernel in rows.items()]

    def _do(self, number: int, part: Part) -> Rows:
        """The rows that a guest wrote; the last is `lost`, with the reason, where it did not get to its end."""
        began, directory = time.monotonic(), self._directory / str(number)
        directory.mkdir()
        said: Rows = []
        lost: Rows = []
        cpu_s = 0.0
        try:
            guest = self._ready(part.kernel)
            said.append({"package": guest.package})
            lines = (guest.out or directory) / LINES
            write_order(directory, inside.command(lines, part.rules, part.scenarios), part.seconds)
            cpu_s = self._boots.run(guest, directory, part.seconds)
            self.cpu_s += cpu_s
        except (CannotHave, Lost) as why:
            lost = [{"lost": str(why)}]
        took = f"{time.monotonic() - began:5.0f} s, {cpu_s:4.0f} s of CPU  {part.said}"
        self._told("".join((took, *(f": {row['lost']}" for row in lost))))
        written = directory / LINES
        return [*(inside.read_lines(written.read_text(encoding="utf-8")) if written.exists() else []), *said, *lost]

    def _ready(self, kernel: Kernel) -> Guest:
        """A kernel is made ready when it is first needed, one after another. Raises CannotHave."""
        with self._making:
            if kernel not in self._guests:
                self._guests[kernel] = self._made(kernel)
            return self._guests[kernel]

    def _made(self, kernel: Kernel) -> Guest:
        """By the newest package that can be had. Raises CannotHave with what kept the newest."""
        if not kernel.packages:
            return host_itself()
        reasons = []
        for package in kernel.packages:
            try:
                return self._of(kernel.kind, package)
            except CannotHave as why:
                reasons.append(why)
        raise reasons[0]

    def _of(self, kind: str, package: Package) -> Guest:
        return uml.ready(self._apt, package, self._cache) if kind == UML else self._emulator.ready(package)

    @cached_property
    def _emulator(self) -> Emulator:
        return Emulator(self._apt, self._cache, self._directory)
