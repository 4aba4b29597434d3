"""Which server of this host is meant by what people type: `:8080`, a port, `unix:/path`, a PID, a program's name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from estab.api import port_taken
from estab.errors import UsageError
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules.listening import reached
from estab.load.plan import is_address
from estab.load.target import MOST_PORT, split, unix_socket
from estab.observe import processes, snapshot
from estab.observe.local import is_local
from estab.records import Listener, Snapshot

_LISTS = "`ss -ltnp` shows who listens"
_NAME_BYTES = 15  # of a process's name, prctl(2) PR_SET_NAME: the kernel cuts it


@dataclass(frozen=True)
class LocalServer:
    """What listens here, by who or where was asked: `listeners` are all on `port`, or all of the process `pid`.

    `unix`: it is the UNIX socket at this address (`unix:/path`); a process is meant by it that listens on no TCP port.
    """

    listeners: Sequence[Listener]
    port: int | None = None
    pid: int | None = None
    unix: str | None = None

    @property
    def ports(self) -> list[int]:
        """The ports that it listens on, each once."""
        return sorted({listener.port for listener in self.listeners})

    @property
    def address(self) -> str:
        """Where a client reaches it. Raises UsageError where it listens on several ports."""
        if self.unix is not None:
            return self.unix
        if len(self.ports) > 1:
            raise UsageError(f"process {self.pid} listens on {_listed(self.ports)}: give one of them")
        return endpoint(reached(self.listeners[0].address), self.listeners[0].port)


def is_local_name(text: str) -> bool:
    """Whether it names no host: then a port, a PID or a program of this host is meant."""
    return ":" not in text.removeprefix(":") and not is_address(text)


def address_of(target: str) -> str:
    """What to connect to: TARGET as it is where it has a port, else the address of the local server that it names.

    Raises UsageError where nothing of that name listens here.
    """
    if not is_local_name(target) or target.startswith(":"):
        return target
    if target.isascii() and target.isdigit():
        is_process = int(target) > MOST_PORT and processes.process(int(target)) is not None
        return find(target).address if is_process else target
    server = _of_program(snapshot.take(), target)
    if server is None:
        raise UsageError(f"`target` {target!r} has no port: give HOST:PORT, or the name of a program that listens here")
    return server.address


def find(text: str) -> LocalServer:
    """The server that is meant. A number is a port where something listens on it, else a PID.

    Raises UsageError where no such server is seen, or where `text` names another host.
    """
    if (unix := unix_socket(text)) is not None:
        return _at_unix(unix)
    here = snapshot.take()
    if not is_local_name(text):
        host, port = split(text, "`target`")
        if not (host == "localhost" or is_local(host)):
            raise UsageError(f"{text} is not on this host: run estab there, or load it from here (estab hold {text})")
        return _on(here, port, text)
    if text.startswith(":"):
        return _on(here, split(text, "`target`")[1], text)
    if text.isascii() and text.isdigit():
        number = int(text)
        if any(listener.port == number for listener in here.listeners or ()):
            return _on(here, number, text)
        if processes.process(number) is None:
            raise UsageError(f"there is no process {number}, and {port_taken.nobody_listens(f'port {number}', number)}")
        return of_process(here, number)
    server = _of_program(here, text)
    if server is None:
        more = "; as root more is seen" if _hidden(here) and os.geteuid() != 0 else ""
        raise UsageError(f"no program named {text!r} is seen to listen here ({_LISTS}{more})")
    return server


def _at_unix(address: str) -> LocalServer:
    here = snapshot.take(unix=address)
    if here.unix_listeners:
        return LocalServer(here.unix_listeners, unix=address)
    why = "`ss -lx` shows what does" if here.unix_listeners is not None else f"{_hidden(here)}"
    raise UsageError(f"nothing listens at {address} in this network namespace; {why}")


def _on(here: Snapshot, port: int, text: str) -> LocalServer:
    listeners = [listener for listener in here.listeners or () if listener.port == port]
    if not listeners:
        raise UsageError(port_taken.nobody_listens(text, port))
    return LocalServer(listeners, port=port)


def of_process(here: Snapshot, pid: int) -> LocalServer:
    """What the process `pid` listens on: its TCP ports, else its UNIX socket.

    Raises UsageError where that is nothing, several UNIX sockets, or where it is not seen.
    """
    if listeners := owned(here.listeners, {pid}):
        return LocalServer(listeners, pid=pid)
    if unix := owned(here.unix_listeners, {pid}):
        return _of_one_path(unix, pid)
    if processes.process(pid) is None:
        raise UsageError(f"there is no process {pid}; {_LISTS}")
    hidden = _hidden(here) or "it listens on no TCP port and no UNIX socket"
    raise UsageError(f"process {pid} owns no listening socket that is seen in this network namespace: {hidden}")


def _of_one_path(unix: Sequence[Listener], pid: int) -> LocalServer:
    addresses = sorted({listener.address for listener in unix})
    if len(addresses) > 1:
        raise UsageError(f"process {pid} listens on no TCP port, and at {' and '.join(addresses)}: give one of them")
    return LocalServer(unix, pid=pid, unix=addresses[0])


def _of_program(here: Snapshot, name: str) -> LocalServer | None:
    """What a program listens on: one of that name, else one in whose name it stands; None where none is seen."""
    if named := _named(here.listeners, name):
        # The workers of a server hold the sockets of its master: the oldest stands for all.
        server = LocalServer(owned(here.listeners, {min(named)}), pid=min(named))
        everyone = LocalServer(owned(here.listeners, set(named)))
        if server.ports != everyone.ports:
            raise UsageError(f"several servers are named {name!r}, on {_listed(everyone.ports)}: give a port")
        return server
    if named := _named(here.unix_listeners, name):
        return _of_one_path(owned(here.unix_listeners, set(named)), min(named))
    return None


def _named(listeners: Iterable[Listener] | None, name: str) -> list[int]:
    owners = {owner.pid: owner.name or "" for listener in listeners or () for owner in listener.owners or ()}
    short = name.lower()[:_NAME_BYTES]
    named = [pid for pid, program in owners.items() if program.lower() == short]
    return named or [pid for pid, program in owners.items() if short and short in program.lower()]


def _listed(ports: Sequence[int]) -> str:
    return " and ".join(f":{port}" for port in ports)


def owned(listeners: Iterable[Listener] | None, pids: set[int]) -> list[Listener]:
    """Those of them that these processes own."""
    return [
        listener
        for listener in listeners or ()
        if not pids.isdisjoint(process.pid for process in listener.owners or ())
    ]


def _hidden(here: Snapshot) -> str | None:
    field = "unix_listeners" if here.listeners is None else "listeners"
    return next((gap.why for gap in here.unobserved if gap.field in (field, f"{field}.owners")), None)
