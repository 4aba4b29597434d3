"""Who takes part: one generator a host, the server's worker that its resource names, and who stays idle. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from estab.errors import MachineError, UsageError

SERVER_RESOURCE = "estab-server"


@dataclass(frozen=True)
class Member:
    """A Dask worker: its address, the name that it was given (or its host's address), its host, and its resources."""

    address: str
    name: str
    host: str
    resources: Mapping[str, float] = field(default_factory=dict, compare=False)

    @property
    def sees_server(self) -> bool:
        """Whether its resources say that it is on the server's host."""
        return self.resources.get(SERVER_RESOURCE, 0) > 0


@dataclass(frozen=True)
class Roles:
    """The roles: generators, whoever watches the server's end, and those who do nothing, each with why."""

    generators: tuple[Member, ...]
    server: Member | None
    idle: Mapping[str, str]

    @property
    def all(self) -> tuple[Member, ...]:
        """Everybody with a role."""
        return (*self.generators, *([self.server] if self.server else []))


def read(workers: Mapping[str, Mapping[str, Any]]) -> list[Member]:
    """The members, in the order of their addresses, from what the scheduler says of its workers."""
    return [
        Member(
            address=address,
            name=_name(str(said.get("name") or address), address, str(said.get("host") or "")),
            host=str(said.get("host") or address),
            resources=dict(said.get("resources") or {}),
        )
        for address, said in sorted(workers.items())
    ]


def _name(name: str, address: str, host: str) -> str:
    """A worker without a name of its own is called as its host."""
    return host if host and name in (address, address.partition("://")[2]) else name


def assign(members: Sequence[Member], scheduler: str) -> Roles:
    """Gives out the roles. Raises MachineError where nobody can generate, UsageError for more servers than one."""
    if not members:
        raise MachineError(
            f"the cluster at {scheduler} has no workers; start one on each host: dask worker {scheduler}"
        )
    servers = [member for member in members if member.sees_server]
    server = servers[0] if servers else None
    others = [member.name for member in servers if server and member.host != server.host]
    if server and others:
        raise UsageError(
            f"{server.name} and {others[0]} both have the resource {SERVER_RESOURCE}; "
            "give it to one worker, on the host that serves the target"
        )
    generators: dict[str, Member] = {}
    idle: dict[str, str] = {}
    for member in members:
        if server and member.host == server.host:
            if member is not server:
                idle[member.address] = f"it is on the server's host, beside {server.name}"
        elif member.host in generators:
            idle[member.address] = f"{generators[member.host].name} generates on its host"
        else:
            generators[member.host] = member
    if not generators:
        raise MachineError(
            f"every worker at {scheduler} is on the server's host ({SERVER_RESOURCE}); "
            f"start one on another: dask worker {scheduler}"
        )
    return Roles(tuple(generators.values()), server, idle)
