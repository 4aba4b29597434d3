"""From one moment on nothing comes from the peer: what all connections send is repeated, and no connect is answered.

A host that lost its power or its link, a machine that was moved or frozen, a way that was cut or filtered for all: none
says goodbye, so both ends go on as if nothing had happened. What is outstanding is sent again at doubled waits for some
15 minutes (tcp_retries2; `tcp_write_timeout`, net/ipv4/tcp_timer.c). A program that hangs looks alike, but its kernel
acknowledges (`tcp_data_queue`, net/ipv4/tcp_input.c), and so does that of a connection in the accept queue. A program
that ended closes, by FIN or RST. Where old flows alone are lost, a new connect is answered.
"""

from __future__ import annotations

from dataclasses import replace

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt, gravest
from estab.diagnose.data_path import over_time
from estab.diagnose.evidence import unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.diagnose.silence import GIVEN_UP, Silence, SilentPeer, evidence, silence, silent_peer
from estab.diagnose.syn_path import FEW
from estab.kernel.formats.endpoint import endpoint
from estab.records import PeerLook, Remedy, RunResult, Verdict
from estab.words import plural

_FEWEST = 2  # of one alone the path may have lost the state


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where all went silent at one moment, nothing that was sent is acknowledged, and no connect answered."""
    seen = silence(run)
    return Judgement(*_weigh(run, seen), evidence(seen) + over_time(run))


# From outside ------------------------------------------------------------------------------------------------------

_SILENT_S = 2.0  # so long on every connection: a busy host's own delays are shorter


def judge_program(run: RunResult) -> Judgement:
    """Confirmed where all that another program's connections sent goes unacknowledged, and its connects unanswered."""
    program, target = run.program, (facts.target_address(run), facts.target_port(run))
    if program is None or not program.looks:
        text = "Its connections were not looked at."
        return Judgement("not_observed", text, [unknown("TCP_INFO", "tcpi_unacked", text)])
    look = next((each for each in program.peers if (each.address, each.port) == target), None)
    if look is None:
        text = "At no look did its connections send the same data again and again."
        return Judgement("ruled_out", text, [unknown("sock_diag", "idiag_retrans", text)])
    unanswered = facts.failed(run, ("connect",), GIVEN_UP) + sum(
        each.unanswered for each in program.targets if (each.address, each.port) == target
    )
    return _judge_look(look, unanswered=unanswered > 0)


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Possible where nothing was heard for long on any connection to a peer, and data of theirs is unacknowledged."""
    peers = snapshots.after.silent_peers
    if peers is None:
        text = "Whether data is sent again and again was not observed."
        return Judgement("not_observed", text, [unknown("sock_diag", "idiag_retrans", text)])
    if not peers:
        text = "No connection of this host sends the same data again and again."
        return Judgement("ruled_out", text, [unknown("sock_diag", "idiag_retrans", text)])
    judged = [(look, _judge_look(look, unanswered=False)) for look in peers]
    worst = gravest(judgement for _look, judgement in judged)
    look = next(look for look, judgement in judged if judgement is worst)
    about = snapshots.run(None).replace(config={"target": endpoint(look.address, look.port)})
    return replace(worst, about=about)


def _judge_look(look: PeerLook, *, unanswered: bool) -> Judgement:
    peer = silent_peer(look)
    return Judgement(*_weigh_look(peer, unanswered=unanswered), peer.evidence())


def _weigh_look(peer: SilentPeer, *, unanswered: bool) -> tuple[Verdict, str]:
    where = endpoint(peer.look.address, peer.look.port)
    if peer.silent_s < _SILENT_S or not peer.sample.at_once:
        return "ruled_out", f"{where} was heard on others while data was unacknowledged, or not long before."
    lost = plural(peer.look.resending, "connection")
    told = f"For {peer.silent_s:.1f} s nothing came from {where}: what {lost} sent is not acknowledged"
    if not peer.sample.mostly_answered:
        return "possible", f"{told}; but most of them had never been answered."
    if peer.look.resending < _FEWEST:
        return "possible", f"{told}; it is one connection alone."
    if not unanswered:
        return "possible", f"{told}; whether it answers a new connect was not seen."
    return "confirmed", f"{told}, and connects get no answer. Its host is gone, or the way to it is cut."


def failures(run: RunResult) -> int:
    """Connections that got no answer in time, and connects that got none."""
    seen = silence(run)
    return seen.stalled + seen.unanswered


def _weigh(run: RunResult, seen: Silence) -> tuple[Verdict, str]:
    if (innocent := _why_not(run, seen) or _heard(seen)) is not None:
        return "ruled_out", innocent
    if seen.unacknowledged is None:
        return "not_observed", "Whether what was sent was acknowledged was not observed."
    if seen.after is None:
        return "not_observed", "Whether the peer answers a new connect was not tried."
    return _weigh_silence(run, seen, seen.unacknowledged)


def _weigh_silence(run: RunResult, seen: Silence, unacknowledged: int) -> tuple[Verdict, str]:
    since = f"Since {_moment_s(seen):.1f} s nothing came from the peer"
    if not unacknowledged:
        return "possible", f"{since}; whether what open connections sent was acknowledged was not seen."
    lost = plural(unacknowledged, "connection")
    told = f"{since}: what {lost} sent is not acknowledged, and a connect after the run got no answer"
    if not seen.was_there:
        return "possible", f"{told}; but none of them had been answered before."
    if unacknowledged < min(_FEWEST, run.funnel.connected):
        return "possible", f"{told}; it was one connection alone."
    said = sent.who_said(run.connect_after)
    return "confirmed", f"{told}{'' if said is None else f' ({said})'}. {_where(run)}"


def _why_not(run: RunResult, seen: Silence) -> str | None:
    """Why there is no silence to judge, in a sentence. None: there may be."""
    ended = seen.ended_s is not None and seen.unanswered >= FEW
    if not seen.stalled and not ended:
        return "No connection waited in vain for an answer."
    if (run.server.rose(facts.LISTEN_DROPS) or 0) * 2 > seen.stalled + seen.unanswered:
        # It drops the last ACK of a handshake as well: the client then sends into a connection that is not there.
        return "The listener turned packets away: what it did not take is not acknowledged."
    return None


def _heard(seen: Silence) -> str | None:
    """What was heard of the peer while connections waited in vain, in a sentence. None: nothing."""
    if seen.answers_again:
        return "A connect after the run was answered: the peer is there."
    if seen.unacknowledged is not None and 0 < seen.stalled >= seen.unacknowledged * 2:
        return "What most of them had sent was acknowledged: the peer's kernel was there."
    if seen.sample.count and not seen.sample.at_once:
        return "The peer was heard on others while these had long waited: it was there."
    return None


def _moment_s(seen: Silence) -> float:
    return max(seen.heard_s or 0.0, seen.ended_s or 0.0)


def _where(run: RunResult) -> str:
    if run.server.observed:
        return "Its host is there, as the server's end shows: what lies between is cut."
    return "Its host is gone, or the way to it is cut."


def remedies(run: RunResult) -> list[Remedy]:
    """What shows where it ends, what has a client know it soon, and what does not."""
    host = facts.target_address(run) or "TARGET"
    return [
        Remedy(
            command=f"ip neigh show {host}; ping -c 3 {host}; tracepath -n {host}",
            works=True,
            changes=[changes.LOOK],
            why="FAILED beside its own address: the host is off the link. No hop answers from one on: it ends there.",
        ),
        Remedy(
            command=f"ss -tnoi dst {host}   # unacked, backoff, lastack: at the client, while it hangs",
            works=True,
            changes=[changes.LOOK],
            why="The same lastack on all of them is the moment; a backoff that rises says that nothing arrives.",
        ),
        Remedy(
            command="bring the host or the way to it back; its console, its hypervisor, the last change of the network",
            works=True,
            changes=[changes.mend("the peer, or the way to it")],
            why="What is outstanding is sent again, and passes where the peer still knows the connection.",
        ),
        Remedy(
            command="setsockopt(TCP_USER_TIMEOUT, 10000), a heartbeat in the protocol; then another address",
            works=True,
            changes=[changes.program("how soon it gives a dead connection up")],
            why=(
                "A client then knows in seconds and connects to another member; by default the kernel tries for some "
                "15 minutes. Where the program can't: sysctl -w net.ipv4.tcp_retries2=8, some 100 s."
            ),
        ),
        Remedy(
            command="TCP keepalive, however short",
            works=False,
            changes=[changes.program("keepalive on the sockets of one end")],
            why="While data is unacknowledged none is sent (`tcp_keepalive_timer`, net/ipv4/tcp_timer.c).",
        ),
        Remedy(
            command="a longer request timeout",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="Nobody is there who could answer later.",
        ),
        bigger_backlog("No queue was full: the connections had been accepted and answered."),
    ]


_GONE = "from one moment on nothing came from the peer at all"
CAUSE = Cause(
    id="peer_vanished",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_DATA,
    specificity=6,
    explains={
        CauseKind.LOST_DATA: _GONE,
        CauseKind.LOST_SYN: _GONE,
        "neighbour_unresolved": "the peer was there before, and then its link address was not answered for either",
        "server_not_accepting": _GONE,
    },
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    judge_program=judge_program,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a wire that carries nothing any more from the moment on at which the record's fell silent"),
)
