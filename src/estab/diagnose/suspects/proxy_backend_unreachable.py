"""A proxy accepts, finds that nothing listens where it would connect to, and closes.

Each connection that it accepted brings a connect of its own that is refused: `tcp_done` (net/ipv4/tcp.c) counts
AttemptFails for a socket that leaves SYN_SENT without a connection. The client sees a connect that works, and the end.
"""

from __future__ import annotations

from estab.diagnose import closings, facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import SNMP, listener_unseen, measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.records import Evidence, Remedy, RunResult
from estab.words import plural

ATTEMPT_FAILS = "Tcp.AttemptFails"
_FEWEST = 3
_SHARE = 0.9  # of the connections that were closed at least so many must have a connect that failed
_MOST_TRIES = 5  # a proxy tries again, or another server, so often for one client


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the host of what accepted failed to connect once or more for each connection that was closed."""
    closed = closings.ended_early(run)
    text = f"{plural(closed, 'connection was', 'connections were')} closed or reset early"
    evidence = [measured("failures", "read eof, ECONNRESET, EPIPE", closed, text)]
    if not closed:
        return Judgement("ruled_out", "No connection was closed early.", evidence)
    refused, opened = _refused(run), facts.server_rose(run, facts.ACTIVE_OPENS, run.funnel.attempted)
    if refused is None or opened is None:
        text = "Whether what accepts has connects of its own that fail is counted at its host."
        return Judgement("not_observed", text, [*evidence, listener_unseen(run)])
    evidence += _evidence(refused, opened)
    if (told := _unanswered(run, closed, opened)) is not None:
        return Judgement("possible", told, evidence)
    if refused < _SHARE * closed or opened < refused:
        text = f"{plural(refused, 'connect')} of the server's own failed, for {closed:,} that it closed."
        return Judgement("ruled_out", text, evidence)
    if closed < _FEWEST or refused > _MOST_TRIES * closed:
        text = f"{plural(refused, 'connect')} of the server's host failed beside {closed:,} that it closed."
        return Judgement("possible", text, evidence)
    who = next((process.name for process in run.server.processes or () if process.name), "What accepts")
    text = (
        f"{who} accepted and closed {plural(closed, 'connection')}, and {plural(refused, 'connect')} from its host "
        "found nobody listening: it is a proxy whose backend can't be reached."
    )
    return Judgement("confirmed", text, evidence)


def _unanswered(run: RunResult, closed: int, opened: int) -> str | None:
    """That a connect was begun for each one that it closed, and some met silence. None: not so.

    One that is given up counts nowhere (`tcp_close_state`, net/ipv4/tcp.c): what tells are SYNs that were sent again,
    and a queue of another listener that overflowed.
    """
    again = facts.server_rose(run, facts.SYN_RETRANS, run.retransmitted) or 0
    elsewhere = facts.listener_drops(run) == 0 and (run.server.rose(facts.LISTEN_OVERFLOWS) or 0)
    if closed < _FEWEST or not _SHARE * closed <= opened <= _MOST_TRIES * closed or max(again, elsewhere) < _FEWEST:
        return None
    silent = f"{plural(again, 'SYN')} of them had to be sent again" if again >= _FEWEST else "another queue overflowed"
    return (
        f"{plural(opened, 'connect was', 'connects were')} begun at its host for {closed:,} that it closed, "
        f"and {silent}: a proxy whose backend does not answer looks like this."
    )


def _refused(run: RunResult) -> int | None:
    """Connects of the server's own host that failed. None: not seen.

    AttemptFails also counts half-open connections that a client took back, which EmbryonicRsts knows.
    """
    failed = facts.server_rose(run, ATTEMPT_FAILS, facts.failed(run, ("connect",), ("ECONNREFUSED",)))
    embryonic = run.server.rose(facts.EMBRYONIC_RSTS) or 0
    return None if failed is None else max(0, failed - max(0, embryonic))


def _evidence(refused: int, opened: int) -> list[Evidence]:
    text = f"{plural(opened, 'connect was', 'connects were')} begun from the server's network namespace meanwhile"
    failed = f"{plural(refused, 'connect')} from there failed (AttemptFails)"
    return [
        measured(SNMP, facts.ACTIVE_OPENS, opened, text),
        measured(SNMP, ATTEMPT_FAILS, refused, failed),
    ]


def failures(run: RunResult) -> int:
    """What was closed early, as far as a connect failed for it."""
    return min(closings.ended_early(run), _refused(run) or 0)


def remedies(run: RunResult) -> list[Remedy]:
    """Which backend it is, and that it must listen; no limit of the proxy."""
    pid = next((str(process.pid) for process in run.server.processes or ()), "PID")
    return [
        Remedy(
            command=f"timeout 5 strace -f -e trace=connect -p {pid}   # at the proxy; or its own log",
            works=True,
            changes=[changes.LOOK],
            why="Shows where it connects to, and ECONNREFUSED.",
        ),
        Remedy(
            command="start the backend, on the address and the port that the proxy has in its settings",
            works=True,
            changes=[changes.LISTEN],
            why="A backend that listens on 127.0.0.1 alone is not there for a proxy in another host or container.",
        ),
        bigger_backlog("The proxy accepted each connection at once."),
        Remedy(
            command="ulimit -n 65536, maxconn, worker_connections",
            works=False,
            changes=[changes.nofile(65536, "server")],
            why="It is no limit of the proxy: it closes because it has nobody to pass the connection on to.",
        ),
        Remedy(
            command="a longer connect timeout",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="The backend's port refuses at once.",
        ),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Never more than possible: who of the host connects where is not seen."""
    rose = {name: snapshots.rose(name) for name in (ATTEMPT_FAILS, facts.ACTIVE_OPENS, facts.PASSIVE_OPENS)}
    failed, opened, accepted = rose.values()
    evidence = [
        measured(SNMP, name, delta, f"{name.partition('.')[2]} rose by {delta:,}")
        for name, delta in rose.items()
        if delta is not None
    ]
    if failed is None or opened is None or accepted is None:
        why = snapshots.why_no_deltas or "The counters were not observed."
        return Judgement("not_observed", why, evidence or [unknown(SNMP, ATTEMPT_FAILS, why)])
    failed = max(0, failed - max(0, snapshots.rose(facts.EMBRYONIC_RSTS) or 0))
    if failed < _FEWEST or opened < failed:
        return Judgement("ruled_out", f"{plural(failed, 'connect')} of this host failed.", evidence)
    if not _SHARE * accepted <= failed <= _MOST_TRIES * accepted:
        text = f"{plural(failed, 'connect')} of this host failed, and it was connected to {plural(accepted, 'time')}."
        return Judgement("ruled_out", text, evidence)
    text = (
        f"{plural(failed, 'connect')} of this host failed while it was connected to {plural(accepted, 'time')}: "
        "a proxy whose backend can't be reached looks like this."
    )
    return Judgement("possible", text, evidence, about=snapshots.run(snapshots.fullest))


_NOBODY_BEHIND = "it closes what it can pass on to nobody"
CAUSE = Cause(
    id="proxy_backend_unreachable",
    side="server",
    stage=ConnectionStage.ACCEPT,
    specificity=4,
    explains={"server_connection_limit": _NOBODY_BEHIND, "closed_with_data_unread": _NOBODY_BEHIND},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that connects to a closed port for each connection that it accepts, and then closes it"),
)
