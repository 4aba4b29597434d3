"""What an entry says: the world, the programs in it, the command of estab, what is right to say, and what proves it.

In command lines and files `{target}`, `{address}`, `{port}`, `{folder}`, `{python}` and `{servers}` are filled in.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.field.evidence import Evidence

Place = Literal["client", "server", "router"]
PORT = 8080


@dataclass(frozen=True, kw_only=True)
class World:
    """The namespaces. `one`: client and server on one host. `wire`: two hosts. `routed`: a router between them.

    `sysctls` and `nft` (a ruleset) by place; `commands` (of iproute2) by place, run last. `hosts`: names that
    /etc/hosts has, each with its addresses in order.
    """

    shape: Literal["one", "wire", "routed"] = "one"
    sysctls: Mapping[Place, Mapping[str, int | str]] = field(default_factory=dict)
    nft: Mapping[Place, str] = field(default_factory=dict)
    commands: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def server_address(self) -> str:
        return {"one": "127.0.0.1", "wire": "10.1.0.2", "routed": "10.2.0.1"}[self.shape]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process beside estab. It is ready when it listens on `port`, or printed "ready", or at once.

    `socket`: the path of a UNIX socket, at which it listens instead, or as well.
    `nofile`: its RLIMIT_NOFILE. `cpu`: the core it is pinned to. `files`: written into the situation's folder first.
    `quota`: the cores that its cgroup may use. `tasks`: the processes and threads that its cgroup may have; `nproc`:
    its RLIMIT_NPROC, as a user that nobody else is.
    `beside`: another program, in whose cgroups it runs.
    """

    name: str
    argv: str
    where: Place = "server"
    ready: Literal["listens", "says", "at once"] = "listens"
    port: int = PORT
    socket: str | None = None
    nofile: int | None = None
    cpu: int | None = None
    quota: float | None = None
    tasks: int | None = None
    nproc: int | None = None
    beside: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None


@dataclass(frozen=True, kw_only=True)
class Later:
    """What happens while the commands run: a signal to a program, an nft ruleset, a new program.

    One comes after the other, `after_s` after the one before, or after the server's `counter` rose by `rises`.
    `children`: the signal goes to all processes that the program started, or to so many of them.
    """

    after_s: float = 0.0
    counter: str = "PassiveOpens"
    rises: int = 0
    program: str = "server"
    signal: signal.Signals | None = None
    children: bool | int = False
    nft: str | None = None
    where: Place = "router"
    start: Program | None = None


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is right to say.

    `confirmed`: each of these causes, named as the cause. `possible`: each of these, as the cause or left open.
    `quiet`: no cause at all is right too, where what would tell can't be seen. All empty: healthy.
    `harmful`: no remedy under "works" may match. `says` and `never_says`: patterns in what is printed.
    `exits`: the exit codes; by default 0 where healthy, 1 where a cause must be confirmed, either otherwise.
    """

    confirmed: frozenset[str] = frozenset()
    possible: frozenset[str] = frozenset()
    quiet: bool = False
    harmful: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    never_says: tuple[str, ...] = ()
    exits: frozenset[int] | None = None
    figures: tuple[Figure, ...] = ()

    @property
    def is_healthy(self) -> bool:
        return not self.confirmed and not self.possible and not self.quiet

    @property
    def right_exits(self) -> frozenset[int]:
        if self.exits is not None:
            return self.exits
        if self.is_healthy:
            return frozenset({0})
        return frozenset({1}) if self.confirmed and not self.possible else frozenset({0, 1})


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the record, by its path as `funnel.completed`, and the bounds in which it is true."""

    path: str
    at_least: float = float("-inf")
    at_most: float = float("inf")


@dataclass(frozen=True)
class Proof:
    """One thing that must have happened, said in words, and the test of it."""

    text: str
    holds: Callable[[Evidence], bool]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """An entry. `before` starts after the server and before the first look; `first` are commands of estab before the
    one that is judged. `prefix` stands before that one, as `prlimit --as=…`. `look_s`: from one `ss` to the next.
    `host`: situations of the same host, asked by several commands, which must agree.
    """

    name: str
    story: str
    command: str
    truth: Truth
    proofs: tuple[Proof, ...]
    server: Program | None = None
    before: tuple[Program, ...] = ()
    later: tuple[Later, ...] = ()
    world: World = World()
    both_ends: bool = False
    first: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    at: Place = "client"
    settle_s: float = 0.1
    look_s: float = 0.25
    host: str | None = None

    @property
    def programs(self) -> tuple[Program, ...]:
        return ((self.server,) if self.server else ()) + self.before


def healthy(**more: object) -> Truth:
    """Nobody may be accused, and the exit code is 0."""
    return Truth(**more)  # type: ignore[arg-type]


def due(*causes: str, **more: object) -> Truth:
    """One of these causes must be confirmed."""
    return Truth(confirmed=frozenset(causes), **more)  # type: ignore[arg-type]


def open_to(*causes: str, **more: object) -> Truth:
    """One of these causes must be named; `possible` suffices, for what would confirm it can't be seen from here."""
    return Truth(possible=frozenset(causes), **more)  # type: ignore[arg-type]
