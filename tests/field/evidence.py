"""What is read from outside while a situation plays: counters by nstat, sockets by ss, rules by nft."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.namespaces import Namespace, run


@dataclass(frozen=True)
class Listener:
    """A listening socket as ss shows it: how many wait, and its backlog."""

    waiting: int
    backlog: int


@dataclass(frozen=True, kw_only=True)
class Look:
    """One moment of one place. `states` counts sockets: (their state as ss writes it, the local port or None).

    `unix`: the UNIX sockets that listen there, where a program of the situation has one.
    """

    at_s: float
    listeners: Mapping[int, tuple[Listener, ...]]
    ours: Mapping[str, int]
    theirs: Mapping[str, int]
    unix: tuple[Listener, ...] = ()


@dataclass(frozen=True)
class Turns:
    """How long a process's main thread ran on a core, and how long it waited for one (/proc/PID/schedstat)."""

    ran_s: float = 0.0
    waited_s: float = 0.0

    def __sub__(self, other: Turns) -> Turns:
        return Turns(self.ran_s - other.ran_s, self.waited_s - other.waited_s)


@dataclass(kw_only=True)
class Evidence:
    """All that proofs may ask. Counters are differences over the judged command; `nft` and `logs` totals at its end."""

    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    looks: dict[str, list[Look]] = field(default_factory=dict)
    rules: dict[str, dict[str, int]] = field(default_factory=dict)
    conntrack: dict[str, dict[str, int]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    turns: dict[str, Turns] = field(default_factory=dict)
    cgroups: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0.0


def counters(space: Namespace) -> dict[str, int]:
    """Every counter of the place by nstat's name, as TcpExtListenOverflows."""
    with space.entered():
        table: dict[str, int] = json.loads(run("nstat", "-asz", "-j"))["kernel"]
    return table


def turns(pid: int) -> Turns:
    """Of the process so far; none where it has ended."""
    try:
        ran_ns, waited_ns, _times = map(int, Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split())
    except (FileNotFoundError, ProcessLookupError):
        return Turns()
    return Turns(ran_ns / 1e9, waited_ns / 1e9)


def conntrack(space: Namespace) -> dict[str, int]:
    """The columns of /proc/net/stat/nf_conntrack, summed over the cores; none where the module is absent."""
    with space.entered():
        try:
            text = Path("/proc/thread-self/net/stat/nf_conntrack").read_text(encoding="ascii")
        except FileNotFoundError:
            return {}
    names, *rows = (line.split() for line in text.splitlines())
    return {name: sum(int(row[column], 16) for row in rows) for column, name in enumerate(names)}


def rules(space: Namespace) -> dict[str, int]:
    """Packets that each named counter of the place's ruleset counted."""
    with space.entered():
        found = json.loads(run("nft", "-j", "list", "counters"))["nftables"]
    return {entry["counter"]["name"]: entry["counter"]["packets"] for entry in found if "counter" in entry}


def look(space: Namespace, port: int, start_s: float) -> Look:
    """Listeners of the place and its sockets at the port, those in TIME_WAIT left out."""
    with space.entered():
        done = subprocess.run(
            ["ss", "-Htan", "exclude", "time-wait"], capture_output=True, text=True, check=False, timeout=10
        )
    listeners: dict[int, list[Listener]] = {}
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        state, receive, send, local, remote, *_rest = line.split()
        local_port = int(local.rpartition(":")[2])
        if state == "LISTEN":
            listeners.setdefault(local_port, []).append(Listener(int(receive), int(send)))
        elif local_port == port:
            ours[state] += 1
        elif remote.endswith(f":{port}"):
            theirs[state] += 1
    kept = {number: tuple(each) for number, each in listeners.items()}
    return Look(at_s=time.monotonic() - start_s, listeners=kept, ours=dict(ours), theirs=dict(theirs))


def unix_listeners(space: Namespace) -> tuple[Listener, ...]:
    """The UNIX sockets that listen at the place."""
    with space.entered():
        lines = run("ss", "-Hlx").splitlines()
    return tuple(Listener(int(line.split()[2]), int(line.split()[3])) for line in lines)


class Looking:
    """Looks at places again and again, in a thread, within a `with` block. `unix`: at UNIX sockets too."""

    def __init__(self, spaces: Mapping[str, Namespace], port: int, every_s: float, *, unix: bool = False) -> None:
        self.looks: dict[str, list[Look]] = {name: [] for name in spaces}
        self._unix = unix
        self._spaces, self._port, self._every_s = spaces, port, every_s
        self._ended = threading.Event()
        self._start_s = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Looking:
        self._start_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        """At the beginning too, and at the end: a command may be over before the second look is due."""
        self._look()
        while not self._ended.wait(self._every_s):
            self._look()
        self._look()

    def _look(self) -> None:
        for name, space in self._spaces.items():
            seen = look(space, self._port, self._start_s)
            self.looks[name].append(replace(seen, unix=unix_listeners(space)) if self._unix else seen)
