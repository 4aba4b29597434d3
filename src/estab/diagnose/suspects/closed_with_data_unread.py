"""The program closes a connection with data in it that it has not read: the client gets a reset in place of the answer.

Source: `__tcp_close` (net/ipv4/tcp.c) sends RST in place of FIN where the receive queue is not empty, and counts
TCPAbortOnClose (RFC 2525, section 2.17). The RST also discards what of an answer the client has not read yet.
"""

from __future__ import annotations

from estab.diagnose import closings, facts
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import listener_unseen, measured, server_counter
from estab.records import Evidence, Remedy, RunResult
from estab.words import plural

_FEWEST = 3
_SHARE = 0.9  # of the resets at least so many must be counted: a client may give up, and close, meanwhile


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the server's kernel counted TCPAbortOnClose for each connection that was reset."""
    reset, aborted = closings.resets(run), run.server.rose(facts.ABORT_ON_CLOSE)
    text = f"{plural(reset, 'connection was', 'connections were')} reset once made"
    evidence = [measured("failures", "ECONNRESET, EPIPE", reset, text)]
    if not reset:
        return Judgement("ruled_out", "No connection was reset.", evidence)
    if not run.server.observed or aborted is None:
        unseen = "Whether the server closed with data unread is counted at its host."
        return Judgement("not_observed", unseen, [*evidence, listener_unseen(run)])
    evidence += _evidence(run)
    if aborted < _SHARE * reset:
        text = f"The server's kernel closed {aborted:,} of {reset:,} with data unread."
        return Judgement("ruled_out", text, evidence)
    if reset < _FEWEST:
        return Judgement("possible", f"{plural(reset, 'reset')} with data unread may be chance.", evidence)
    text = f"The server closed {reset:,} connections with data of theirs unread: its kernel sent a reset for each."
    return Judgement("confirmed", text, evidence)


def _evidence(run: RunResult) -> list[Evidence]:
    means = "connections closed by their program with data unread"
    size = facts.asked(run, "size_bytes")
    counted = server_counter(run, facts.ABORT_ON_CLOSE, means)
    if size is None:
        return [counted]
    return [counted, measured("config", "size_bytes", size, f"each request has {plural(size, 'byte')}", None)]


def failures(run: RunResult) -> int:
    """Connections that were reset, as far as the server closed them so."""
    return min(closings.resets(run), max(0, run.server.rose(facts.ABORT_ON_CLOSE) or 0))


def remedies(_run: RunResult) -> list[Remedy]:
    """What mends it is in the program alone."""
    return [
        Remedy(
            command="read each request to its end before close(); or shutdown(fd, SHUT_WR), read until 0, then close()",
            works=True,
            changes=[changes.READ_ALL],
            why="close() with data unread sends a RST, which also throws away the answer that was on its way.",
        ),
        Remedy(
            command="lingering_close always;   # nginx, where it answers before it has read the whole request",
            works=True,
            changes=[changes.program("nginx", "server")],
            why="It reads on for a while after its answer (lingering_timeout), so that the client can read it.",
        ),
        Remedy(
            command="nstat -az TcpExtTCPAbortOnClose   # at the server",
            works=True,
            changes=[changes.LOOK],
            why="It stops rising once this is fixed.",
        ),
        bigger_backlog("Each connection was accepted: the program closed it."),
        Remedy(
            command="ulimit -n 65536, LimitNOFILE=65536",
            works=False,
            changes=[changes.nofile(65536, "server")],
            why="No descriptor was missing.",
        ),
        Remedy(
            command="a longer timeout",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="The reset came at once.",
        ),
    ]


CAUSE = Cause(
    id="closed_with_data_unread",
    side="server",
    stage=ConnectionStage.ANSWER,
    judge_run=judge_run,
    judge_snapshots=NeedsRun("A client that closes early counts in TCPAbortOnClose as well; whom it cost shows there"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that reads one byte of what it is sent, and closes"),
)
