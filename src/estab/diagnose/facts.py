"""What the suspects ask of a run: counts, deltas and rates within it, each None where it was not observed.

What lives here: reading `RunResult`, nothing else. What never may: a verdict, or a threshold that decides one.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from estab.diagnose import accepts
from estab.kernel.formats.endpoint import is_unix
from estab.kernel.rules import accept_queue, syn_retries
from estab.kernel.rules.inputs import RuleInputError
from estab.kernel.rules.kernel_version import KernelVersion, of
from estab.kernel.rules.listening import reached, serving
from estab.records import ClientSide, HostFacts, Listener, ListenerWatch, RunResult, ServerSide, Snapshot, Worker
from estab.records.failure import OF_CONNECTED

TIMEOUTS = frozenset({"ETIMEDOUT", "own_timeout", "gave_up"})
RESETS = frozenset({"ECONNRESET", "EPIPE"})
NO_DESCRIPTOR = frozenset({"EMFILE", "ENFILE"})
# connect() answers EADDRNOTAVAIL where the range is used up; bind() to port 0 answers EADDRINUSE for the same.
NO_PORT = frozenset({"EADDRNOTAVAIL", "EADDRINUSE"})

LISTEN_OVERFLOWS = "TcpExt.ListenOverflows"
LISTEN_DROPS = "TcpExt.ListenDrops"
DEFER_DROPS = "TcpExt.TCPDeferAcceptDrop"
COOKIES_FAILED = "TcpExt.SyncookiesFailed"
COOKIES_SENT = "TcpExt.SyncookiesSent"
REQ_QUEUE_DROP = "TcpExt.TCPReqQFullDrop"
REQ_QUEUE_COOKIES = "TcpExt.TCPReqQFullDoCookies"
EMBRYONIC_RSTS = "TcpExt.EmbryonicRsts"
ABORT_ON_CLOSE = "TcpExt.TCPAbortOnClose"
SYN_RETRANS = "TcpExt.TCPSynRetrans"
PASSIVE_OPENS = accepts.PASSIVE_OPENS
ACTIVE_OPENS = "Tcp.ActiveOpens"
NETFILTER_DROP = "NETFILTER_DROP"


# Failures ----------------------------------------------------------------------------------------------------------


def failed(run: RunResult, phases: Collection[str], errnos: Collection[str]) -> int:
    """How many failures of these phases with these errno names were counted."""
    return sum(f.count for f in run.failures if f.phase in phases and f.errno in errnos)


def connect_timeouts(run: RunResult) -> int:
    """Connects that ended in the kernel's ETIMEDOUT or in our own timeout."""
    return failed(run, ("connect",), TIMEOUTS)


def connect_failures(run: RunResult) -> int:
    """Connects that failed, whatever the errno."""
    return sum(f.count for f in run.failures if f.phase == "connect")


def timeouts(run: RunResult) -> int:
    """Connections that got no answer in time, at whatever phase."""
    return failed(run, ("connect", *OF_CONNECTED), TIMEOUTS)


def resets(run: RunResult) -> int:
    """Connections that were reset, or written to after that (docs/kernel.md rule 14: ECONNRESET first, then EPIPE)."""
    return failed(run, ("connect", *OF_CONNECTED), RESETS)


def unserved(run: RunResult) -> int:
    """Connections that timed out, were reset or ended early: what a server's limit can answer for."""
    return timeouts(run) + resets(run) + failed(run, OF_CONNECTED, ("eof",))


def turned_away_clients(run: RunResult) -> int:
    """Client failures that a queue which turns packets away can make.

    Time-outs of what it did not accept, and resets of connections that the server never had: a cookie or a half-open
    connection that it could not honour (SyncookiesFailed, EmbryonicRsts). What it accepted and then closed, reset or
    left without an answer was not the queue's doing.
    """
    spoiled = [run.server.rose(name) for name in (COOKIES_FAILED, EMBRYONIC_RSTS)]
    known = [max(0, delta) for delta in spoiled if delta is not None]
    stalled = timeouts(run) - connect_timeouts(run)
    most = _most_unaccepted(run)
    cut_off = min(resets(run), sum(known)) if known else resets(run)
    kept_waiting = stalled if most is None else min(stalled, most)
    return connect_timeouts(run) + kept_waiting + cut_off + unix_refusals(run)


def _most_unaccepted(run: RunResult) -> int | None:
    """At most so many connections were ESTABLISHED at the client and not accepted. None: no bound is known.

    Each of them waited, or had its last ACK dropped; a drop that made a client send its SYN again is not one of these.
    A queue that stood full can have held any number, one after another.
    """
    watch, drops = listener(run), listener_drops(run)
    if watch is None or drops is None or was_full(watch):
        return None
    again = sum(resent * count for resent, count in run.connects_by_resent.items())
    return max(0, drops - again) + max(0, watch.worst_depth, watch.queued_at_end or 0)


def packets_lost(run: RunResult) -> int:
    """Connections that lost a packet, whatever came of them: no answer in time, or a connect by a later SYN."""
    return timeouts(run) + late_connects(run)


def late_connects(run: RunResult) -> int:
    """Connects that succeeded after their SYN was sent again. What a record counts beyond its connects had failed."""
    known = [count for count in run.connects_by_resent.values() if count > 0]
    beyond = max(0, sum(known) - max(0, run.funnel.connected))
    return max(0, run.retransmitted - beyond)


def unanswered_connects(run: RunResult) -> int:
    """Connects that failed after their SYN had been sent again: nothing had answered the first within a second."""
    return max(0, run.retransmitted - late_connects(run))


def each_was_answered(run: RunResult) -> bool:
    """Whether the server answered on each connection that was made, so that none of them waits in its queue."""
    return 0 < run.funnel.connected <= run.funnel.first_byte


def each_was_accepted(run: RunResult) -> bool:
    """Whether all connects ended well at once and each connection was answered: then nothing waited for accept()."""
    return each_was_answered(run) and not connect_failures(run) and not run.retransmitted


def mostly_reset(run: RunResult) -> bool:
    """Were at least as many connections reset as connects timed out? False where none was reset."""
    return resets(run) > 0 and resets(run) >= connect_timeouts(run)


def reset_orders(run: RunResult) -> tuple[int, int] | None:
    """Of the broken connections that were asked again: (a RST came first, a FIN came first). None: none was asked.

    docs/kernel.md rule 14: after a RST the first operation gets ECONNRESET; after FIN and RST it gets EPIPE, without
    one.
    """
    rst = sum(o.count for o in run.error_orders if o.order[:1] == ["ECONNRESET"])
    fin = sum(o.count for o in run.error_orders if o.order[:1] in (["EPIPE"], ["eof"]) and "ECONNRESET" not in o.order)
    return (rst, fin) if rst + fin > 0 else None


def overflow_symptoms(run: RunResult) -> int:
    """What a client sees of an accept queue that overflows: timeouts, resets (cookies), SYNs that were sent again."""
    return timeouts(run) + resets(run) + run.retransmitted


# Counters and sysctls ----------------------------------------------------------------------------------------------


def server_sysctl(run: RunResult, name: str) -> int | None:
    """An integer sysctl of the server's namespace as it stood before the run. None: not observed."""
    return _sysctl(run.server.before, name) if run.server.observed else None


def client_sysctl(run: RunResult, name: str) -> int | None:
    """An integer sysctl of the client's namespace as it stood before the run. None: not observed."""
    return _sysctl(run.client.before, name)


def _sysctl(snapshot: Snapshot | None, name: str) -> int | None:
    values = ((snapshot.sysctls if snapshot else None) or {}).get(name)
    if isinstance(values, str):
        return whole(values)
    return values[0] if values else None


def whole(text: str) -> int | None:
    """The whole number that `text` is, or None. Twenty digits hold every 64-bit value."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def release(snapshot: Snapshot | None, host: HostFacts | None = None) -> KernelVersion | None:
    """The kernel that a snapshot was taken on, else that of `host`. None: not recorded, or no version can be read."""
    taken_on = snapshot.host if snapshot is not None and snapshot.host.kernel else host
    try:
        return of(taken_on) if taken_on is not None and taken_on.kernel else None
    except RuleInputError:
        return None


def linear_timeouts(run: RunResult) -> int:
    """The client's tcp_syn_linear_timeouts: as read, else what its kernel starts with, else 0."""
    value = client_sysctl(run, "net.ipv4.tcp_syn_linear_timeouts")
    if value is not None and 0 <= value <= syn_retries.MAX_SYNCNT:
        return value
    kernel = release(run.client.before, run.host)
    return syn_retries.default_linear_timeouts(kernel) if kernel is not None else 0


def server_rose(run: RunResult, counter: str, ours: int) -> int | None:
    """What a counter of the server's namespace rose by, without the `ours` of this run's clients where they are there.

    None: not observed.
    """
    rose = run.server.rose(counter)
    return None if rose is None else max(0, rose if ends_apart(run) else rose - ours)


def ends_once(run: RunResult) -> list[tuple[str, ClientSide | ServerSide]]:
    """Each observed end by its name; a namespace that both are in, whose counters are one, is the client's alone."""
    client: tuple[str, ClientSide | ServerSide] = ("client", run.client)
    return [client, ("server", run.server)] if run.server.observed and ends_apart(run) else [client]


def ends_apart(run: RunResult) -> bool:
    """Whether client and server are known to be in two network namespaces, so that each counts for itself."""
    ends = [end.host.netns_inode if end is not None else None for end in (run.client.before, run.server.before)]
    return run.server.via is not None or (None not in ends and ends[0] != ends[1])


# What was asked ----------------------------------------------------------------------------------------------------


def asked(run: RunResult, *names: str) -> float | None:
    """The first of these `config` entries that is a finite number, or None where none is."""
    for name in names:
        value = run.config.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def asked_connections(run: RunResult) -> int | None:
    """How many connections were to be open at once. None: the config does not say."""
    value = asked(run, "connections")
    return None if value is None else int(value)


def asked_rate(run: RunResult) -> float | None:
    """Connects a second that were asked for. None: as fast as it goes."""
    # A rate of bench is one of requests.
    value = asked(run, "ramp_per_s", *(() if run.command == "bench" else ("rate_per_s",)))
    return value if value and value > 0 else None


def unix_target(run: RunResult) -> str | None:
    """The UNIX socket that the run's own load connected to, as `unix:/path`. None: it was no UNIX socket."""
    target = run.config.get("target")
    is_load = run.program is None and run.command != "observe"
    return target if is_load and isinstance(target, str) and is_unix(target) else None


def unix_refusals(run: RunResult) -> int:
    """Connects of the run's own load that found the accept queue of a UNIX socket full (docs/kernel.md rule 31)."""
    return 0 if unix_target(run) is None else failed(run, ("connect",), ("EAGAIN",))


def target_port(run: RunResult) -> int | None:
    """The port that was connected to, from whichever part of the record names it; None of a UNIX socket."""
    if unix_target(run) is not None:
        return None
    if run.server.listener is not None:
        return run.server.listener.port
    if run.client.port_use is not None:
        return run.client.port_use.port
    port = asked(run, "port")
    if port is not None:
        return int(port)
    target = run.config.get("target")
    tail = target.rpartition(":")[2] if isinstance(target, str) else ""
    return whole(tail)


def target_address(run: RunResult) -> str | None:
    """The address that was connected to; None: the record does not name it."""
    target = run.config.get("target")
    host = target.rpartition(":")[0].strip("[]") if isinstance(target, str) else ""
    return host or None


def asked_timeout(run: RunResult) -> float | None:
    """Our own timeout in seconds. None: none was set (0 leaves it to the kernel)."""
    value = asked(run, "timeout_s")
    return value if value and value > 0 else None


# The server's end --------------------------------------------------------------------------------------------------


def room(watch: ListenerWatch) -> int:
    """How many connections the listener's queue holds: B+1."""
    return accept_queue.room(watch.limit)


def was_full(watch: ListenerWatch) -> bool:
    """Whether the queue was seen full at its worst (B+1 waiting)."""
    return accept_queue.is_full(max(0, watch.worst_depth), max(0, watch.limit))


def listener(run: RunResult) -> ListenerWatch | None:
    """The watched listener, or None where the server's end was not observed."""
    return run.server.listener if run.server.observed else None


def why_unseen(run: RunResult) -> str:
    """Why the listener was not observed, as the end of a sentence."""
    unseen = "no listener was found there" if run.server.observed else "the server's end is not on this host"
    return run.server.why or unseen


def listened_where_asked(run: RunResult) -> bool:
    """Was a listener seen before and after at the very address that was connected to, or at a wildcard that covers it?

    As the server's host names its addresses: behind a NAT it is False.
    """
    address, port = target_address(run), target_port(run)
    ends = (run.server.before, run.server.after) if run.server.observed else ()
    if address is None or port is None or not ends:
        return False
    return all(serving(_listeners(end), reached(address), port) for end in ends)


def listener_drops(run: RunResult) -> int | None:
    """How much sk_drops of the target's listeners rose within the run: the sum over all of them where it is known."""
    watch = listener(run)
    if watch is None:
        return None
    known = [p.listener_drops for p in run.timeline if p.listener_drops is not None]
    # With SO_REUSEPORT `drops` is the fullest listener's: 0 there does not speak for the others.
    if watch.drops is not None and (watch.listeners <= 1 or watch.drops > 0):
        known.append(watch.drops)
    return max(known, default=None)


def accepted(run: RunResult) -> int | None:
    """How many connections the server accepted, by its own word or by what its end shows. None: not seen.

    What a hold opens is still there at the end, with an inode once it was accepted. Other loads close it again: there
    the queue and PassiveOpens tell.
    """
    known = [run.funnel.accepted] if run.server.observed else []
    known.append(accepts.since_before(run.server))
    if run.command != "hold" and (over := accepts.over(run)) is not None:
        known.append(over.least)
    # A first byte is an answer: who answers has accepted. It is a lower bound that an end census can miss.
    seen = [n for n in known if n is not None]
    return max([*seen, run.funnel.first_byte]) if seen else None


def owner_pids(run: RunResult, inode: int | None) -> list[int]:
    """The processes that own one of the target's listeners, as the snapshots name them."""
    ends = (run.server.before, run.server.after)
    at = [listener for listener in (_listeners(ends[1]) or _listeners(ends[0])) if listener.inode == inode]
    return [process.pid for listener in at for process in listener.owners or ()]


def workers(run: RunResult, role: str) -> list[Worker]:
    """Our own processes of one role, `client` or `server`."""
    side = run.client.workers if role == "client" else run.server.workers
    return [w for w in side if w.role == role]


def server_cores(run: RunResult) -> float | None:
    """How many cores the server's processes kept busy over the run, all together. None: not read."""
    server = run.server
    if server.embedded:
        fractions = [w.cpu_fraction for w in workers(run, "server") if w.cpu_fraction is not None]
        return sum(f for f in fractions if math.isfinite(f)) if fractions else None
    if not server.observed or not (math.isfinite(run.elapsed_s) and run.elapsed_s > 0):
        return None
    began = {p.pid: p.cpu_s for listener in _listeners(server.before) for p in listener.owners or []}
    used = [
        p.cpu_s - (began.get(p.pid) or 0.0) for p in server.processes or [] if p.cpu_s is not None and p.pid in began
    ]
    return sum(s for s in used if math.isfinite(s) and s > 0) / run.elapsed_s if used else None


def _listeners(snapshot: Snapshot | None) -> list[Listener]:
    return snapshot.all_listeners if snapshot is not None else []
