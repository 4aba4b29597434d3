"""`limits`: the ladder of ceilings from this client to a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from estab.api import local_server, port_taken
from estab.api.machine import machine
from estab.diagnose import port_holders
from estab.diagnose.ladder import BothEnds, HoldSpread, ladder
from estab.errors import UsageError
from estab.kernel.formats import inet_diag
from estab.kernel.formats.endpoint import is_unix
from estab.kernel.rules.listening import reached, serving
from estab.load import plan
from estab.load import target as targets
from estab.load.fleet import engine_name
from estab.load.plan import ClientLoad
from estab.observe import snapshot, via
from estab.observe.local import is_local
from estab.records import Limits, Listener, Snapshot

_NOWHERE = "192.0.2.1"  # RFC 5737: for a plan without a target, where nothing is spread over loopback addresses


def limits(
    target: str | None = None,
    *,
    pid: int | None = None,
    listen: str | None = None,
    server_via: str | None = None,
    via_timeout_s: float = 30.0,
) -> Limits:
    """Every limit on the way from this host to `target` (HOST:PORT, unix:/path), the one that is met first first.

    `listen` (":PORT", "HOST:PORT" or "unix:/path") or `pid` name a local server instead of `target`; with none of them
    it is this host as a client, wherever it connects to, and what servers on it could take is left out. `server_via` is
    a command, run without a shell, that prints snapshots of the server's side as JSON lines (estab.snapshot/1); the
    last one counts, and the command is ended after `via_timeout_s` seconds.

    Raises UsageError for what cannot be asked, MachineError where the command cannot be run, ReadError where it prints
    no snapshot. What could not be observed raises nothing: it stands last, with why.
    """
    _check(target, pid, listen, server_via)
    if target is not None:
        return ladder(_towards(target, server_via, via_timeout_s))
    if listen is not None:
        unix = targets.unix_socket(listen, "listen")
        return ladder(_local(_listening_on(listen), None) if unix is None else _local_unix(unix))
    if pid is not None:
        return _of_process(pid)
    return ladder(BothEnds(client=_take(None), spread=_spread(None)))


def _check(target: str | None, pid: int | None, listen: str | None, server_via: str | None) -> None:
    given = [name for name, value in (("`target`", target), ("`pid`", pid), ("`listen`", listen)) if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} each name a server; give one of them")
    if server_via is not None and target is None:
        raise UsageError("`server_via` shows the side of a `target`: give that too, as HOST:PORT")


# Who serves --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Address:
    """A literal address and port."""

    host: str
    port: int


def _towards(target: str, server_via: str | None, timeout_s: float) -> BothEnds:
    host, port, _scope = targets.resolve_any(target)
    if is_unix(host):
        if server_via is not None:
            raise UsageError(f"`server_via` shows another host, and {host} is a UNIX socket of this one: leave it out")
        return _local_unix(host)
    address = _Address(reached(inet_diag.canonical(host)), port)
    if server_via is None:
        return _local(address, None) if is_local(address.host) else _remote(address, None)
    return _remote(address, via.snapshots(server_via, address.port, within_s=timeout_s)[-1])


def _local(address: _Address, owner: int | None) -> BothEnds:
    """A target in this very network namespace; of the process `owner` alone where that is given."""
    here = _take(address)
    listeners = tuple(here.listeners or ()) if owner is None else local_server.owned(here.listeners, {owner})
    listeners = serving(listeners, address.host, address.port)
    why = None
    if not listeners:
        seen = f"nothing listens on {address.host} port {address.port} in this network namespace"
        if (taken := port_holders.told(snapshot.take(port=address.port), address.port)) is not None:
            seen += f", and {taken}"
        why = seen if here.listeners is not None else _gap(here, "listeners")
    return BothEnds(
        client=here,
        spread=_spread(address),
        target=(address.host, address.port),
        server=here if listeners else None,
        listeners=listeners,
        why_unobserved=why,
    )


def _local_unix(address: str) -> BothEnds:
    """A UNIX socket that listens in this very network namespace."""
    here = snapshot.take(unix=address)
    listeners = here.unix_listeners or []
    why = None
    if not listeners:
        seen = f"nothing listens at {address} in this network namespace; `ss -lx` shows what does"
        why = seen if here.unix_listeners is not None else _gap(here, "unix_listeners")
    return BothEnds(
        client=here,
        spread=_spread(None),
        target=(address, 0),
        server=here if listeners else None,
        listeners=listeners,
        why_unobserved=why,
    )


def _remote(address: _Address, there: Snapshot | None) -> BothEnds:
    """A target elsewhere, its side as `there` shows it. None: nobody showed it."""
    why = f"{address.host} is not an address of this host; --server-via shows its side"
    listeners: Sequence[Listener] = ()
    if there is not None:
        listeners = serving(there.listeners or (), address.host, address.port, anywhere=True)
        seen = f"the snapshot of --server-via has no listener on port {address.port}"
        why = seen if there.listeners is not None else _gap(there, "listeners")
    return BothEnds(
        client=_take(address),
        spread=_spread(address),
        target=(address.host, address.port),
        server=there,
        listeners=listeners,
        why_unobserved=None if listeners else why,
    )


def _listening_on(listen: str) -> _Address:
    """Where a local listener can be reached. Raises UsageError where nothing listens there."""
    anywhere = local_server.is_local_name(listen)
    host, port = targets.parse_listen(listen)
    listeners = [listener for listener in snapshot.take().listeners or () if listener.port == port]
    if not anywhere and port:
        host = targets.resolve(listen, "listen")[0]
        listeners = serving(listeners, reached(host), port)
    if not listeners:
        raise UsageError(port_taken.nobody_listens(listen, port))
    address = listeners[0].address if anywhere else host
    return _Address(reached(address), port)


def _of_process(pid: int) -> Limits:
    """The ladder to what a process listens on: to its one port, or each of its listeners where there are more."""
    here = _take(None)
    server = local_server.of_process(here, pid)
    if server.unix is not None:
        return ladder(_local_unix(server.unix))
    if len(server.ports) > 1:
        return ladder(BothEnds(client=here, spread=_spread(None), server=here, listeners=server.listeners))
    address = server.listeners[0].address
    return ladder(_local(_Address(reached(address), server.ports[0]), pid))


def _gap(taken: Snapshot, *fields: str, otherwise: str = "it was not read") -> str:
    return next((gap.why for gap in taken.unobserved if gap.field in fields), otherwise)


# What is seen ------------------------------------------------------------------------------------------------------


def _take(toward: _Address | None) -> Snapshot:
    """This host now, every listener with its owners, and the use of ports towards an address."""
    return snapshot.take(toward=None if toward is None else (toward.host, toward.port))


def _spread(toward: _Address | None) -> HoldSpread:
    """How `hold` would carry as many connections as it can be asked for."""
    here, host = machine(), toward.host if toward else _NOWHERE
    load = ClientLoad("hold", plan.MOST_CONNECTIONS, 1.0)
    return HoldSpread(
        own_descriptors=plan.HOLDS_OPEN[engine_name()],
        processes=plan.client_processes_for(load, here, beside_server=False),
        sources=max(1, len(plan.loopback_sources(host, plan.MOST_CONNECTIONS, here.ports))),
        most=plan.MOST_CONNECTIONS,
    )
