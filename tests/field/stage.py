"""The namespaces and the programs of a situation: made inside, ended with it."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.field import cgroups
from tests.field.situation import PORT, Later, Program, World
from tests.namespaces import Namespace, joined, run, sysctl

SERVERS = Path(__file__).parent / "servers"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin:/usr/local/sbin"
_READY_S = 30.0
_FIRST_USER = 1 << 24  # user ids from here on belong to nobody


class NotSetUp(RuntimeError):
    """The situation did not come about: a fault of the entry or of the machine, not of the judge."""


@dataclass
class Stage:
    """The places of a world, and the programs that run there. `places` has client and server as one where they are."""

    world: World
    folder: Path
    places: dict[str, Namespace] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    cgroups: dict[str, list[Path]] = field(default_factory=dict)

    def filled(self, text: str) -> str:
        """The text with `{target}` and its like filled in; other braces stay."""
        address = self.world.server_address
        words = {
            "address": address,
            "port": str(PORT),
            "target": f"{address}:{PORT}",
            "folder": str(self.folder),
            "python": sys.executable,
            "servers": str(SERVERS),
        }
        for key, value in words.items():
            text = text.replace("{" + key + "}", value)
        return text

    def start(self, program: Program) -> None:
        """Starts it and returns when it is ready. Raises NotSetUp where it never is."""
        for name, text in program.files.items():
            (self.folder / name).write_text(self.filled(text), encoding="utf-8")
        command = [*cgroups.entering(self._groups(program)), *_limits(program), *shlex.split(self.filled(program.argv))]
        log = self.log(program.name)
        with self.places[program.where].entered(), log.open("wb") as output:
            try:
                self.processes[program.name] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "PATH": _PATH},
                    cwd=self.folder,
                )
            except FileNotFoundError as error:
                raise NotSetUp(f"this machine lacks {error.filename}: run `make packages` as root") from error
        self._await(program)

    def _groups(self, program: Program) -> list[Path]:
        """Those in which it runs, made where they are its own."""
        if program.beside is not None:
            return self.cgroups[program.beside]
        groups = self.cgroups[program.name] = []
        try:
            if program.quota is not None:
                groups.append(cgroups.with_quota(program.quota))
            if program.tasks is not None:
                groups.append(cgroups.with_tasks(program.tasks))
        except OSError as error:
            raise NotSetUp(f"no cgroup can be made here: {error}") from error
        return groups

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def act(self, later: Later) -> None:
        """Sends the signal, loads the rules, starts the program."""
        if later.nft is not None:
            rules(self.places[later.where], later.nft)
        if later.signal is not None:
            process = self.processes[later.program]
            pids = _children(process.pid) if later.children else [process.pid]
            for pid in pids if isinstance(later.children, bool) else pids[: later.children]:
                os.kill(pid, later.signal)
        if later.start is not None:
            self.start(later.start)

    def _await(self, program: Program) -> None:
        deadline = time.monotonic() + _READY_S
        process = self.processes[program.name]
        while program.ready != "at once":
            if program.ready == "says" and b"ready" in self.log(program.name).read_bytes():
                return
            if program.ready == "listens" and self._listens(program):
                return
            if process.poll() not in (None, 0):  # a daemon's parent ends with 0
                raise NotSetUp(f"{program.name} ended with {process.returncode}: {self._last_words(program)}")
            if time.monotonic() > deadline:
                raise NotSetUp(f"{program.name} was not ready in {_READY_S:g} s: {self._last_words(program)}")
            time.sleep(0.02)

    def _listens(self, program: Program) -> bool:
        with self.places[program.where].entered():
            if program.socket is not None:
                return bool(run("ss", "-Hlx", "src", self.filled(program.socket)).strip())
            return bool(run("ss", "-Htln", "sport", "=", f":{program.port}").strip())

    def _last_words(self, program: Program) -> str:
        lines = self.log(program.name).read_text(encoding="utf-8", errors="replace").split("\n")
        return " / ".join(lines[-4:])[-300:]


def build(world: World, folder: Path) -> Stage:
    """The world's namespaces, joined, with its sysctls, rules and commands."""
    stage = Stage(world, folder)
    server = Namespace()
    if world.shape == "one":
        stage.places = {"client": server, "server": server}
    else:
        client = Namespace()
        stage.places = {"client": client, "server": server}
        if world.shape == "wire":
            joined(client, "10.1.0.1/24", server, "10.1.0.2/24")
        else:
            stage.places["router"] = _routed(client, server)
    if world.hosts:
        _name(world, folder)
    for place, values in world.sysctls.items():
        with stage.places[place].entered():
            for name, value in values.items():
                sysctl(name, value)
    for place, ruleset in world.nft.items():
        rules(stage.places[place], ruleset)
    for place, commands in world.commands.items():
        with stage.places[place].entered():
            for command in commands:
                run(*shlex.split(command))
    return stage


def _name(world: World, folder: Path) -> None:
    """Another /etc/hosts, in the mount namespace of this situation."""
    lines = [f"{address} {name}\n" for name, addresses in world.hosts.items() for address in addresses]
    hosts = folder / "hosts"
    hosts.write_text(Path("/etc/hosts").read_text(encoding="utf-8") + "\n" + "".join(lines), encoding="utf-8")
    run("mount", "--bind", str(hosts), "/etc/hosts")


def rules(space: Namespace, text: str) -> None:
    """Loads a ruleset in the place."""
    with space.entered():
        done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode != 0:
        raise NotSetUp(f"nft: {done.stderr.strip()[:300]}")


@contextlib.contextmanager
def tidy(stage: Stage) -> Iterator[Stage]:
    """Ends what was started. What left its parent ends with the PID namespace."""
    try:
        yield stage
    finally:
        for process in stage.processes.values():
            if process.poll() is None:
                process.kill()
        for process in stage.processes.values():
            process.wait(5)
        for group in (group for groups in stage.cgroups.values() for group in groups):
            cgroups.remove(group)


def _routed(client: Namespace, server: Namespace) -> Namespace:
    router = Namespace()
    joined(client, "10.1.0.1/24", router, "10.1.0.254/24", names="left")
    joined(server, "10.2.0.1/24", router, "10.2.0.254/24", names="right")
    with router.entered():
        sysctl("net.ipv4.ip_forward", 1)
    for space, gateway in ((client, "10.1.0.254"), (server, "10.2.0.254")):
        with space.entered():
            run("ip", "route", "add", "default", "via", gateway)
    return router


def _limits(program: Program) -> list[str]:
    """What stands before its command line, and becomes the program itself."""
    words = []
    if program.nofile is not None:
        words += ["prlimit", f"--nofile={program.nofile}:{program.nofile}"]
    if program.nproc is not None:
        user = _FIRST_USER + int.from_bytes(os.urandom(3), "big")
        words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        words += ["prlimit", f"--nproc={program.nproc}:{program.nproc}"]
    if program.cpu is not None:
        allowed = sorted(os.sched_getaffinity(0))
        words += ["taskset", "-c", str(allowed[program.cpu % len(allowed)])]
    return words


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]
