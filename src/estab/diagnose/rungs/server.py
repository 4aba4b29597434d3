"""What the server's processes and listening sockets allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from estab.diagnose.advice import programs
from estab.diagnose.advice.descriptors import lasting_limit
from estab.diagnose.rungs.view import BothEnds, natural, number, unknown, why
from estab.errors import EstabError
from estab.kernel.formats.endpoint import endpoint, is_unix
from estab.kernel.rules import accept_queue, descriptors, kernel_version, syn_queue
from estab.records import Limit, Listener, Process, Snapshot

OPEN_FILES, ACCEPT_QUEUE, SYN_QUEUE = "server_open_files", "accept_queue", "syn_queue"
SOMAXCONN = "net.core.somaxconn"


def rungs(view: BothEnds) -> Iterator[Limit]:
    """The server's rungs for the target, or for each listener where there is no target."""
    server = view.server
    if server is None or not view.listeners:
        if view.target is not None:
            yield from _unseen(view)
        return
    if view.target is not None:
        yield from _listener_rungs(server, view.listeners, "")
        return
    for where, group in _by_place(view.listeners).items():
        yield from _listener_rungs(server, group, f"@{where}")


def _unseen(view: BothEnds) -> Iterator[Limit]:
    reason = view.why_unobserved or "the server's side was not observed"
    yield unknown(OPEN_FILES, "server", "descriptors", "/proc/PID/limits, /proc/PID/fd", reason)
    yield unknown(ACCEPT_QUEUE, "server", "connections not yet accepted", "sock_diag", reason)
    if view.is_unix:
        return
    yield unknown(SYN_QUEUE, "server", "half-open connections", "sock_diag", reason)


def _by_place(listeners: Sequence[Listener]) -> dict[str, list[Listener]]:
    by_endpoint: dict[str, list[Listener]] = {}
    for listener in listeners:
        where = endpoint(listener.address, listener.port)
        by_endpoint.setdefault(where, []).append(listener)
    return by_endpoint


def _listener_rungs(server: Snapshot, listeners: Sequence[Listener], suffix: str) -> Iterator[Limit]:
    yield _open_files(server, listeners, suffix)
    yield _accept_queue(server, listeners, suffix)
    if not is_unix(listeners[0].address):
        yield _syn_queue(server, listeners, suffix)


# Descriptors -------------------------------------------------------------------------------------------------------


def accepting(listeners: Sequence[Listener]) -> tuple[list[Process], int | None]:
    """The processes that are taken for those that accept, and the pid left out as the master of a shared socket.

    Who shares a listening socket inherited it: the first of them (lowest pid) bound it, forked the others and, in
    nginx, gunicorn and Apache, accepts nothing itself.
    """
    owners = {owner.pid: owner for listener in listeners for owner in listener.owners or ()}
    masters = {
        min(o.pid for o in listener.owners) for listener in listeners if listener.owners and len(listener.owners) > 1
    }
    workers = [owner for pid, owner in sorted(owners.items()) if pid not in masters]
    return workers, min(masters) if masters else None


def _open_files(server: Snapshot, listeners: Sequence[Listener], suffix: str) -> Limit:
    owners, master = accepting(listeners)
    blank = unknown(
        f"{OPEN_FILES}{suffix}",
        "server",
        "descriptors",
        "/proc/PID/limits, /proc/PID/fd",
        why(server, "listeners.owners", otherwise="who owns the listener was not seen"),
    )
    softs, used = [natural(o.nofile_soft) for o in owners], [natural(o.fds) for o in owners]
    left = [descriptors.available(soft, fds).available for soft, fds in zip(softs, used, strict=True)]
    if not owners:
        return blank
    if any(spare is None for spare in left):
        return blank.replace(why_unknown=f"limits or descriptors of {_names(owners)} may not be read: run as root")
    most = number(server, "fs.nr_open")
    aim = min(2 * max(soft or 0 for soft in softs), 1 << 31 if most is None else most)
    for_good = lasting_limit(aim, owners[0].service)
    return blank.replace(
        value=sum(soft or 0 for soft in softs),
        used=sum(fds or 0 for fds in used),
        capacity_connections=descriptors.connections(sum(spare or 0 for spare in left)),
        raise_with=f"prlimit --pid {owners[0].pid} --nofile={aim}:{aim}; for good: {for_good}",
        restart="nothing for prlimit; the server for what lasts",
        note=_file_notes(owners, master),
        why_unknown=None,
    )


def _names(owners: Sequence[Process]) -> str:
    names = sorted({owner.name or "?" for owner in owners})
    service = next((f"; {owner.service.words}" for owner in owners if owner.service and owner.service.words), "")
    pids = f"{', '.join(str(owner.pid) for owner in owners[:4])}{' …' * (len(owners) > 4)}"
    return f"{', '.join(names)} (pid {pids}{service})"


def _file_notes(owners: Sequence[Process], master: int | None) -> str:
    parts = [_names(owners)]
    if len(owners) > 1:
        parts.append(f"the sum of {len(owners)} processes; one of them may be full before the others")
    if master is not None:
        parts.append(f"pid {master} is taken for a master that accepts nothing")
    parts.append("a proxy takes two for each connection; the program's own limits are not the kernel's and not seen")
    return "; ".join(parts)


# Queues ------------------------------------------------------------------------------------------------------------


def _accept_queue(server: Snapshot, listeners: Sequence[Listener], suffix: str) -> Limit:
    """How many may wait for accept(). Not how many the server can hold: so no capacity, but 0 where it is full."""
    worst = min(listeners, key=lambda listener: listener.limit - listener.depth)
    limit, depth = max(0, worst.limit), max(0, worst.depth)
    room, full = accept_queue.fits(limit), accept_queue.is_full(depth, limit)
    notes = [f"{room:,} may wait unaccepted", _who_cuts(server, limit)]
    if len(listeners) > 1:
        notes.append(f"the fullest of {len(listeners)} sockets on this port: each has its own queue")
    if full:
        whoever = "gets EAGAIN, or waits where it blocks," if is_unix(worst.address) else "is dropped"
        notes.append(f"full now: whoever connects {whoever} until accept() takes some out")
    return Limit(
        limit=f"{ACCEPT_QUEUE}{suffix}",
        side="server",
        unit="connections not yet accepted",
        value=limit,
        used=depth,
        capacity_connections=0 if full else None,
        source="sock_diag: wqueue of the listener is the backlog granted, rqueue what waits",
        raise_with=_bigger_backlog(server, worst, limit),
        restart="the server: the limit is fixed when listen() is called",
        note="; ".join(notes),
        why_unknown=None if full else "it bounds who waits for accept(), not how many the server can have",
    )


def _who_cuts(server: Snapshot, limit: int) -> str:
    somaxconn = number(server, SOMAXCONN)
    if somaxconn is None:
        return f"backlog granted {limit:,}; somaxconn was not read"
    if limit < somaxconn:
        return f"backlog granted {limit:,}: the program's own, somaxconn is {somaxconn:,}"
    if limit == somaxconn:
        return f"backlog granted {limit:,}: that is somaxconn, which cuts what the program asks above it"
    return f"backlog granted {limit:,}: somaxconn was lowered to {somaxconn:,} after listen()"


def _bigger_backlog(server: Snapshot, listener: Listener, limit: int) -> str:
    size = min(65535, max(4 * limit, 1024))
    settings = (program.backlog for program in programs.of(listener.owners or ()) if program.backlog is not None)
    setting = next(settings, None)
    place = listener.address if is_unix(listener.address) else listener.port
    own = "a bigger backlog in the program's call of listen()" if setting is None else setting.at(size, place)
    somaxconn = number(server, SOMAXCONN)
    if somaxconn is not None and size > somaxconn:
        return f"sysctl -w {SOMAXCONN}={size}; then {own}"
    return own


def _syn_queue(server: Snapshot, listeners: Sequence[Listener], suffix: str) -> Limit:
    limit = max(0, min(listener.limit for listener in listeners))
    asked, cookies = number(server, "net.ipv4.tcp_max_syn_backlog"), number(server, "net.ipv4.tcp_syncookies")
    blank = Limit(
        limit=f"{SYN_QUEUE}{suffix}",
        side="server",
        unit="half-open connections",
        source="net.ipv4.tcp_syncookies, tcp_max_syn_backlog, sock_diag",
        raise_with="a bigger backlog" if cookies else "sysctl -w net.ipv4.tcp_max_syn_backlog=N, and a bigger backlog",
        restart="the server: the limit is fixed when listen() is called",
        why_unknown="it bounds handshakes under way, not how many the server can have",
    )
    if asked is None or cookies not in (0, 1, 2):
        return blank.replace(note="tcp_syncookies or tcp_max_syn_backlog was not read")
    try:
        fits = syn_queue.fits(limit, asked, cookies, kernel_version.of(server.host))
    except EstabError as error:
        return blank.replace(note=str(error))
    then = "SYNs beyond it are dropped" if cookies == 0 else "SYNs beyond it get cookies; tcp_max_syn_backlog is unused"
    older = "" if fits is not None else f"{limit:,} or {limit + 1:,}, by a patch level that is not known; "
    return blank.replace(value=fits, note=f"{older}{then}")
