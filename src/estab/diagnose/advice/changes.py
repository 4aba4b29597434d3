"""What remedies change, in a form that a program can apply: one short constructor a kind of `Change`."""

from __future__ import annotations

from estab.records import Change, ChangeKind, Side


def _change(
    kind: ChangeKind, side: Side = "server", *, name: str | None = None, value: int | float | str | None = None
) -> Change:
    return Change(kind=kind, side=side, name=name, value=value)


def sysctl(name: str, value: int | str, side: Side = "server") -> Change:
    """A sysctl of that end's network namespace, written before the server listens."""
    return _change("sysctl", side, name=name, value=value)


def late_sysctl(name: str, value: int | str) -> Change:
    """A sysctl of the server's, written while the server goes on running."""
    return _change("late_sysctl", name=name, value=value)


def backlog(size: int) -> Change:
    """A bigger backlog in the program alone: somaxconn stays as it is."""
    return _change("backlog", value=size)


def queue(size: int = 65535) -> Change:
    """A longer accept queue: the program's backlog, and somaxconn not below it."""
    return _change("queue", value=size)


def timeout(seconds: float | None) -> Change:
    """Another connect timeout of the client's; None: twice as long as it was."""
    return _change("timeout", "client", value=seconds)


def nofile(limit: int, side: Side) -> Change:
    """RLIMIT_NOFILE of each process of that end."""
    return _change("nofile", side, value=limit)


def flow_table(entries: int | None) -> Change:
    """A bigger flow table on the way; None: flows are not tracked, or it has room for all."""
    return _change("flow_table", "path", value=entries)


def connection_limit(most: int) -> Change:
    """As many connections as the program keeps at once."""
    return _change("connection_limit", value=most)


def tasks(most: int) -> Change:
    """As many processes and threads as the server may have."""
    return _change("tasks", value=most)


def fewer(connections: int | None = None) -> Change:
    """So many connections at once at most, all clients together. None: as many as the path has room for."""
    return _change("fewer", "client", value=connections)


def idle_shorter(seconds: float) -> Change:
    """Clients whose connections rest for less than so long: a pool's idle time, a heartbeat."""
    return _change("idle_shorter", "client", value=seconds)


def mend(what: str) -> Change:
    """Something dead or missing on the path is put in its place: a host, a route, one of several ways."""
    return _change("mend", "path", name=what)


def program(what: str, side: Side = "client") -> Change:
    """A change of a program that only its author can make."""
    return _change("program", side, name=what)


def elsewhere(what: str) -> Change:
    """A change beyond the two network namespaces."""
    return _change("elsewhere", name=what)


LOOK = _change("look")
ACCEPT = _change("accept")
READ_ALL = _change("read_all")
IDLE_LONGER = _change("idle_longer")
SHARE_CPU = _change("share_cpu")
CLOSE = _change("close")
LISTEN = _change("listen")
END_MEMBER = _change("end_member")
NO_DEFER = _change("defer_accept", value=0)
SPEAK_FIRST = _change("speak_first", "client")
LONGER_TIMEOUT = timeout(None)
WORKERS = _change("workers", "client")
SOURCES = _change("sources", "client")
BIND_NO_PORT = _change("bind_no_port", "client")
SERVER_CLOSES = _change("first_close", "client", value="server")
CLIENT_CLOSES = _change("first_close", "client", value="client")
POOL = _change("pool", "client")
ALLOW = _change("allow", "path")
MTU = _change("mtu", "path")
NAT_PORTS = _change("nat_ports", "client")
DROP_INVALID = _change("drop_invalid", "client")
