"""Hosts in network namespaces with a real `dask` in each: a scheduler, two clients, a server, and a switch between.

```
 scheduler 10.77.0.9 ┐
 a         10.77.0.1 ┼─ the switch (a bridge) ─── veth ───────────── 10.77.0.2  server
 b         10.77.0.3 ┘                        └── veth ─ the wire ── 10.78.0.2  server, behind a flow table
```
All of it lives in the namespace of a test's child and ends with it. Who is on a host is told by `/proc/PID/ns/net`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from tests.forked import forked, forked_call
from tests.namespaces import run, until

from estab.lab.process import links, linux
from estab.lab.process.child import Child
from estab.lab.process.namespace import LabNamespace, veth
from estab.lab.wire.relay import carry
from estab.lab.wire.spec import WireReport, WireSpec

PORT = 5000
SCHEDULER = "tcp://10.77.0.9:8786"
CLIENTS = {"a": 1, "b": 3}
TARGET, BEHIND_THE_TABLE = f"10.77.0.2:{PORT}", f"10.78.0.2:{PORT}"
_NUMBERS = {"scheduler": 9, "server": 2, **CLIENTS}
_BEGUN_WITHIN_S = 60.0


@dataclass
class Stage:
    """The hosts, and what was started on each, by its name."""

    folder: Path
    spaces: dict[str, LabNamespace] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    wire: Child[None] | None = None
    terminals: list[int] = field(default_factory=list)

    def start(self, host: str, name: str, command: dict[str, Any]) -> subprocess.Popen[bytes]:
        """Starts a program on a host. It ends with this process at the latest."""
        with self.spaces[host].entered(), open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(**command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        self.processes[name] = process
        return process

    def said(self, name: str) -> str:
        """What a program printed so far."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def estab(self, *arguments: str, timeout_s: float = 60) -> Done:
        """Runs `estab` to its end where the scheduler is."""
        self.begin(*arguments)
        return self.done(timeout_s)

    def begin(self, *arguments: str, stderr: int = subprocess.PIPE) -> None:
        """Starts `estab` where the scheduler is; `done` waits for it."""
        with self.spaces["scheduler"].entered():
            wide = {} if stderr == subprocess.PIPE else {"COLUMNS": "200"}
            self.processes["estab"] = subprocess.Popen(
                **forked(*arguments, env={**os.environ, **wide}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def begin_and_watch(self, word: str, *arguments: str, within_s: float = 30) -> None:
        """Starts `estab` with a terminal for its progress, and returns once that shows the word."""
        ours, theirs = os.openpty()
        self.begin(*arguments, stderr=theirs)
        os.close(theirs)
        self.terminals.append(ours)
        shown = b""
        deadline = time.monotonic() + within_s
        while word.encode() not in shown:
            ready = select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                raise TimeoutError(f"{word!r} was not shown within {within_s} s: {shown[-500:]!r}")
            try:
                shown += os.read(ours, 65536)
            except OSError as error:  # it ended
                raise TimeoutError(f"it ended without {word!r}: {shown[-500:]!r} {self.done()}") from error

    def done(self, timeout_s: float = 60) -> Done:
        """What became of `begin`."""
        process = self.processes["estab"]
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err = (err or b"") + b"\n(it did not end, and was killed)"
        return Done(process.returncode, out, (err or b"").decode() + self._on_terminals())

    def _on_terminals(self) -> str:
        """What is left on the terminals of programs that ended: more than progress where something went wrong."""
        shown = b""
        while self.terminals:
            with contextlib.suppress(OSError), open(self.terminals.pop(), "rb", buffering=0) as terminal:
                while chunk := terminal.read(65536):
                    shown += chunk
        return shown.decode()

    def on(self, host: str, word: str = "") -> list[int]:
        """The processes on a host whose command line has this word."""
        with self.spaces[host].entered():
            inode = linux.network_namespace()
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                here = os.stat(f"/proc/{name}/ns/net").st_ino == inode
                if here and word in Path(f"/proc/{name}/cmdline").read_text("utf-8", "replace"):
                    found.append(int(name))
        return sorted(found)

    def generators(self, host: str) -> list[int]:
        """The load's own processes on a host."""
        return self.on(host, "estab.load.worker")

    def nothing_generates(self) -> bool:
        """Whether no load's process is left on any host; the server's own serve."""
        return not any(self.generators(host) for host in self.spaces if host != "server")

    def wire_report(self) -> WireReport:
        """What passed the wire."""
        assert self.wire is not None
        self.wire.send(("report",))
        found: WireReport = self.wire.receive()
        return found


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: str


@contextlib.contextmanager
def stage(folder: Path, *, flows: int | None = None, ports: str = "20000 23499") -> Iterator[Stage]:
    """The hosts, joined; `ports` is the clients' range, `flows` what the table before 10.78.0.2 keeps."""
    built = Stage(folder)
    with contextlib.ExitStack() as stack:
        for name in ("switch", "wire", *_NUMBERS):
            built.spaces[name] = LabNamespace(name)
            stack.callback(built.spaces[name].close)
        _join(built)
        for name in CLIENTS:
            built.spaces[name].configure({"net.ipv4.ip_local_port_range": ports})
        built.wire = _wire(built, flows)
        stack.callback(built.wire.kill)
        stack.callback(_end, built)
        yield built


def _join(built: Stage) -> None:
    """Every host's eth0 at the switch; the server's second link there too, but for the wire."""
    switch = built.spaces["switch"]
    with switch.entered():
        run("ip", "link", "add", "br0", "type", "bridge")
        for link in ("br0", "lo"):
            links.set_up(link)
    for name, number in _NUMBERS.items():
        host = built.spaces[name]
        veth(switch, f"to-{name}", host, "eth0")
        with host.entered():
            links.set_up("lo")
            for network in ("10.77.0",) if name == "server" else ("10.77.0", "10.78.0"):
                links.add_address(f"{network}.{number}", 24, "eth0")
    veth(built.spaces["wire"], "client", switch, "table")
    veth(built.spaces["wire"], "server", built.spaces["server"], "eth1")
    with switch.entered():
        for name in (*(f"to-{one}" for one in _NUMBERS), "table"):
            run("ip", "link", "set", name, "master", "br0")
    server = built.spaces["server"]
    # Each link answers for its own address alone: else the way around the wire would do as well.
    server.configure({"net.ipv4.conf.all.arp_ignore": 1})
    with server.entered():
        links.add_address(f"10.78.0.{_NUMBERS['server']}", 24, "eth1")


def _wire(built: Stage, flows: int | None) -> Child[None]:
    spec = WireSpec(flows=flows)
    wire: Child[None] = Child(lambda connection: carry(spec, ("client", "server"), connection), built.spaces["wire"])
    wire.receive()
    return wire


def _end(built: Stage) -> None:
    for process in built.processes.values():
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    for host in built.spaces:  # what a nanny leaves
        for pid in built.on(host, "distributed"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def serve(built: Stage, *more: str) -> None:
    """`estab serve echo` on the server's host, at all its addresses."""
    built.start("server", "serve", forked("serve", "echo", "--listen", f"0.0.0.0:{PORT}", *more, mortal=True))
    until(lambda: "listening" in built.said("serve"), within_s=_BEGUN_WITHIN_S, why="the server listens")


def load_dask() -> None:
    """Once for all that is forked from this process. What Dask logs goes to the standard error that a fork has."""
    import dask
    from distributed.cli import dask_scheduler, dask_worker  # noqa: F401
    from distributed.config import initialize_logging

    here = logging.getLogger()
    of_pytest, here.handlers = here.handlers, []  # where these are, Dask adds none
    to_stderr = logging._StderrHandler(logging.INFO)  # type: ignore[attr-defined]  # looked up at each message
    with mock.patch("logging.StreamHandler", return_value=to_stderr):
        initialize_logging(dask.config.config)
    here.handlers = of_pytest


def dask_command(*arguments: str, before: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """`dask scheduler` or `dask worker` as a fork of this process, which has loaded it.

    It runs `before` first. A nanny executes its worker, as it does everywhere.
    """

    def run() -> None:
        from distributed.cli import dask_scheduler, dask_worker

        sys.modules["__main__"] = ModuleType("__main__")  # a nanny's worker would import pytest's
        before()
        main = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[arguments[0]]
        main(arguments[1:], prog_name="dask")

    return forked_call(run, "dask", *arguments, mortal=True)


def dask(built: Stage) -> None:
    """A scheduler, a worker under its nanny on each client's host, and one on the server's that its resource names."""
    start_scheduler(built)
    for host in (*CLIENTS, "server"):
        start_worker(built, host)
    until(lambda: _count(built) == 3, within_s=_BEGUN_WITHIN_S, why="three workers are there")


def start_scheduler(built: Stage) -> None:
    """`dask scheduler`, once it listens."""
    command = dask_command("scheduler", "--host", "10.77.0.9", "--port", "8786", "--no-dashboard")
    built.start("scheduler", "scheduler", command)
    until(lambda: "Scheduler at:" in built.said("scheduler"), within_s=_BEGUN_WITHIN_S, why="the scheduler listens")


def start_worker(built: Stage, host: str) -> None:
    """`dask worker` on a host."""
    more = ["--resources", "estab-server=1", "--no-nanny"] if host == "server" else []
    address = f"10.77.0.{_NUMBERS[host]}"
    named = ["--host", address, "--name", host, "--no-dashboard", "--nthreads", "1", *more]
    built.start(host, f"worker-{host}", dask_command("worker", SCHEDULER, *named))


def _count(built: Stage) -> int:
    return built.said("scheduler").count("Register worker")


def dask_worker(built: Stage, host: str) -> int:
    """The process of a client's worker itself, which its nanny started."""
    nanny = built.processes[f"worker-{host}"].pid
    children = [
        pid
        for pid in built.on(host)
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1] == str(nanny)
        and "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    ]
    assert len(children) == 1, children
    return children[0]
