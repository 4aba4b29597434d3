"""Something on the way forgets a connection that rests: who asks again gets no answer, or a RST.

A firewall, a NAT or a balancer keeps a state for each flow, and drops it after a time without packets (Linux:
nf_conntrack_tcp_timeout_established; `nf_ct_gc_expired`, net/netfilter/nf_conntrack_core.c). Neither end is told: both
hold the connection as ESTABLISHED. What is sent next belongs to no flow there, and is dropped or answered by RST. A
program that closes what rests tells the client by FIN.
"""

from __future__ import annotations

import math

from estab.diagnose import facts, idle_times, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import measured
from estab.diagnose.idle_times import IdleTimes
from estab.records import Evidence, IdleGap, Remedy, RunResult, Verdict
from estab.records.failure import OF_CONNECTED
from estab.words import plural

_FEWEST = 2  # of one alone the other end may just have closed


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where all that rested for so long or longer were asked in vain, and those that rested less went on."""
    times = idle_times.idle_times(run)
    evidence = _evidence(run, times)
    if not run.idle_gaps and not facts.failed(run, OF_CONNECTED, facts.TIMEOUTS | facts.RESETS):
        return Judgement("ruled_out", "No connection was lost after it had been made.", evidence)
    if not run.idle_gaps:
        text = "Which rests are borne shows only on connections that ask, rest and ask again (estab hold --gaps)."
        return Judgement("not_observed", text, evidence)
    verdict, summary = _weigh(run, times)
    return Judgement(verdict, summary, evidence)


def failures(run: RunResult) -> int:
    """Connections that were asked in vain after their rest."""
    return idle_times.idle_times(run).count(_asked_in_vain)


def _asked_in_vain(gap: IdleGap) -> int:
    return gap.ended - gap.unasked


def _weigh(run: RunResult, times: IdleTimes) -> tuple[Verdict, str]:
    if (innocent := _why_not(run, times)) is not None:
        return "ruled_out", innocent
    silent, reset = times.count(lambda gap: gap.silent), times.count(lambda gap: gap.reset)
    told = _told(times, silent, reset)
    if (doubt := _doubt(run, times, reset)) is not None:
        return "possible", f"{told}{doubt}."
    return "confirmed", f"{told}: something on the way forgets a connection that rests so long."


def _why_not(run: RunResult, times: IdleTimes) -> str | None:
    """Why nothing was forgotten, in a sentence. None: it may have been."""
    if not times.connections:
        return "Every connection was answered after its rest."
    silent, reset = times.count(lambda gap: gap.silent), times.count(lambda gap: gap.reset)
    if not failures(run) or silent + reset < times.connections or times.count(lambda gap: gap.unasked):
        return "They did not fail by silence or RST when they were asked again: something closed them."
    if silent and times.count(lambda gap: gap.unacknowledged) * 2 <= silent:
        return "What was asked after the rest arrived, for it was acknowledged: the program did not answer."
    return None


def _doubt(run: RunResult, times: IdleTimes, reset: int) -> str | None:
    """What keeps it from being sure, as the end of a sentence. None: nothing does."""
    if not times.parted:
        shorter = "" if times.borne else " (no shorter rest was borne: try some)"
        return f", but their rest does not part them from the others{shorter}"
    if not times.outlived:
        return ", but nothing was answered after that: the other end may be gone"
    if failures(run) < _FEWEST:
        return "; it was one connection alone"
    return _reset_by_server(run, reset)


def _told(times: IdleTimes, silent: int, reset: int) -> str:
    how = "got no answer" if not reset else "got a RST" if not silent else "got a RST or no answer"
    shortest = min(gap.gap_s for gap in (*times.ended, *times.mixed))
    told = f"{plural(silent + reset, 'connection')} {how} when asked after a rest of {shortest:g} s or more"
    if times.longest_borne_s is None:
        return told
    return f"{told}, while those that rested for {times.longest_borne_s:g} s were answered"


def _reset_by_server(run: RunResult, reset: int) -> str | None:
    """That the server's own host sent the RSTs: it had given up the connections. None: it did not, or was not seen."""
    count = run.server.rose(sent.OUT_RSTS)
    if not reset or count is None or count < reset:
        return None
    return f"; the server's host sent {plural(count, 'RST')} itself: it had lost them, or a NAT gave them other ports"


def _evidence(run: RunResult, times: IdleTimes) -> list[Evidence]:
    evidence = idle_times.evidence(times)
    after = run.server.after if run.server.observed else None
    if times.connections and after is not None and after.server_sockets is not None:
        held = after.server_sockets.states.get("ESTABLISHED", 0)
        text = f"the server's host held {plural(held, 'connection')} as ESTABLISHED after the run"
        evidence.append(measured("sock_diag", "ESTABLISHED", held, text, None))
    return evidence + (sent.reset_evidence(run) if times.connections else [])


# Remedies ----------------------------------------------------------------------------------------------------------


def remedies(run: RunResult) -> list[Remedy]:
    """A keepalive or a pool's idle time below what is borne, the box's own time; then what does nothing."""
    times = idle_times.idle_times(run)
    borne_s = times.longest_borne_s
    within_s = borne_s or min((gap.gap_s for gap in times.ended), default=2.0) / 2
    every_s = max(1, int(within_s / 2)) if math.isfinite(within_s) else 1
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command=f"keepalive of TCP: SO_KEEPALIVE with TCP_KEEPIDLE={every_s}, TCP_KEEPINTVL={every_s} at one end",
            works=True,
            changes=[changes.program("keepalive on the sockets of one end")],
            why=(
                "A probe is a packet: the flow stays known; at half the time that is borne one may be lost. Where "
                f"a program only sets SO_KEEPALIVE: sysctl -w net.ipv4.tcp_keepalive_time={every_s}."
            ),
        ),
        Remedy(
            command=f"an idle time of {within_s:g} s at the most in the clients' pool (IdleConnTimeout, maxIdleTime)",
            works=True,
            changes=[changes.idle_shorter(within_s)],
            why="What rests for longer is closed in time, or never rests so long.",
        ),
        Remedy(
            command="a longer idle time on the box that forgets (Linux: nf_conntrack_tcp_timeout_established)",
            works=True,
            changes=[changes.mend("the time for which flows are remembered on the way")],
            why="The box that forgets is told to remember for longer than anybody rests.",
        ),
        Remedy(
            command=f"conntrack -E -p tcp --dport {port}   # on each box between: which says [DESTROY] in the rest?",
            works=True,
            changes=[changes.LOOK],
            why="It shows who forgets the flow, and when.",
        ),
        Remedy(
            command="a longer read timeout",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="What is forgotten is not answered later either.",
        ),
        Remedy(
            command="SO_KEEPALIVE with the default of 7,200 s",
            works=False,
            changes=[changes.program("keepalive after two hours")],
            why="The first probe then comes after two hours (tcp_keepalive_time), long after the flow is forgotten.",
        ),
        bigger_backlog("The connections had been accepted and answered."),
    ]


CAUSE = Cause(
    id="path_idle_timeout",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_DATA,
    specificity=1,
    explains={CauseKind.LOST_DATA: "data is lost only after a rest"},
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Which rests are borne shows only on connections that ask again"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a wire that forgets a flow of which nothing passed for as long as connections bore"),
)
