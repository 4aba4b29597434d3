"""The server's program closes connections that were silent for so long.

A limit of the program's own (nginx `keepalive_timeout`, redis `timeout`, Node `server.keepAliveTimeout`): it closes,
mostly in order by FIN, and a client that asks at that moment gets EPIPE or ECONNRESET. No counter of the kernel knows
of it: the age at which connections end tells it, and best how long those had rested that asked before (`hold --gaps`).
"""

from __future__ import annotations

import math

from estab.diagnose import closings, facts, idle_times, owners, sent
from estab.diagnose.advice import changes, programs
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import measured
from estab.diagnose.idle_times import IdleTimes
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural

_AT_ONCE_S = 0.1  # what is closed for being one too many, or as it is accepted, lives less
_SHORTEST_S = 0.5  # what lives less is not closed for being silent
_SPREAD_S = 0.5  # by so much their ages may differ: programs look only now and then, as does a run
_TICK_S = 0.1  # from one sample to the next
_PATIENT_S = 120  # what is proposed where the present time is not known
_RESTED_SPREAD_S = 1.1  # a program's clock may count whole seconds (redis)
_RESTED_SPREAD = 0.1  # or it looks as seldom as fits its time
_BORNE_BEFORE = 0.9  # of a rest that was borne: what ends sooner did not end for it
_SHARE = 0.9  # of the connections that had that age so many must have been closed


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where silent connections were closed in order, all at the same age, by a server that went on."""
    if run.idle_gaps:
        return _judge_gaps(run)
    ended, span = failures(run), closings.ended_between_s(run)
    evidence = _evidence(run, ended)
    if not ended or run.command != "hold":
        text = "No connection was closed early." if not ended else "Only connections that are held are ever silent."
        return Judgement("ruled_out" if not ended else "not_observed", text, evidence)
    if facts.asked(run, "trickle_per_s"):
        return Judgement("not_observed", "The connections asked all the time: none was silent for long.", evidence)
    connected_s = _connected_by_s(run)
    if span is None or connected_s is None:
        return Judgement("not_observed", "When they were closed was not recorded.", evidence)
    oldest_s, youngest_s = span[0], span[1] - connected_s  # of the first to be opened, and of the last
    evidence.append(measured("failures", "first_s", round(oldest_s, 3), f"the first was {oldest_s:.1f} s old", None))
    watch = facts.listener(run)
    if watch is not None and watch.worst_depth and oldest_s >= _AT_ONCE_S and span[1] - span[0] > _SPREAD_S:
        return Judgement("possible", _while_others_waited(oldest_s, span[1], watch.worst_depth), evidence)
    verdict, summary = _of_ages(run, oldest_s, youngest_s - oldest_s)
    return Judgement(verdict, summary, evidence)


# Connections that rested between two requests ----------------------------------------------------------------------


def _judge_gaps(run: RunResult) -> Judgement:
    times = idle_times.idle_times(run)
    evidence = [*idle_times.evidence(times), *sent.reset_evidence(run)]
    if not times.connections:
        return Judgement("ruled_out", "No connection ended while it rested.", evidence)
    if not times.count(lambda gap: gap.unasked):
        text = "No connection ended while it rested: what failed did so when it was asked again."
        return Judgement("ruled_out", text, evidence)
    verdict, summary = _of_rests(run, times)
    return Judgement(verdict, summary, evidence)


def _of_rests(run: RunResult, times: IdleTimes) -> tuple[Verdict, str]:
    if (innocent := _why_no_rest(times)) is not None:
        return "ruled_out", innocent
    least_s, most_s = times.rested_s or (0.0, 0.0)
    closed, reset = times.count(lambda gap: gap.closed), times.count(lambda gap: gap.reset)
    how = "closed" if not reset else "reset" if not closed else "closed or reset"
    ended = plural(closed + reset, "connection was", "connections were")
    told = f"{ended} {how} after a rest of {_between(least_s, most_s)}"
    if times.longest_borne_s is not None:
        told += f", and those that rested for {times.longest_borne_s:g} s were answered"
    if closed + reset < times.connections:
        return "possible", f"{told}; others ended in other ways."
    if most_s - least_s > max(_RESTED_SPREAD_S, _RESTED_SPREAD * least_s):
        return "possible", f"{told}: a program that looks at them only now and then does so."
    if _is_parted(times) and not reset and not owners.gone(run):
        return "confirmed", f"{told}: the server's program, or a proxy that answers in its place, bears no longer rest."
    verdict, doubt = _weigh(run)
    if not _is_parted(times):
        doubt += "; no shorter rest was answered to the end beside it"
    return verdict, f"{told}: a time that the server's program sets{doubt}."


def _is_parted(times: IdleTimes) -> bool:
    """Whether it is their rest alone that parts those that ended from those that went on."""
    return times.parted and times.outlived


def _why_no_rest(times: IdleTimes) -> str | None:
    """Why it was not for resting that they ended. None: it may have been."""
    least_s, most_s = times.rested_s or (0.0, 0.0)
    first_s, last_s = times.moments_s or (0.0, 0.0)
    if not _is_parted(times) and (most_s - least_s) > 2 * (last_s - first_s):
        return f"They ended at one moment, after {first_s:.1f} s, however long each had rested."
    if any((gap.least_s or 0.0) < _BORNE_BEFORE * gap.gap_s for gap in times.mixed):
        return "Some ended after a shorter rest than they had borne before: not for resting."
    if not _is_parted(times) and least_s < _SHORTEST_S:
        return f"The first ended {least_s:.2f} s after it was answered: not for resting."
    return None


def _between(least_s: float, most_s: float) -> str:
    least, most = f"{least_s:.1f}", f"{most_s:.1f}"
    return f"{least} s" if least == most else f"{least} to {most} s"


# Connections that were only held -----------------------------------------------------------------------------------


def _while_others_waited(first_s: float, last_s: float, waited: int) -> str:
    return (
        f"Silent connections were closed from {first_s:.1f} s to {last_s:.1f} s, while up to {waited:,} waited to be "
        "accepted: a program that has no more places may close who says nothing. How old each was since accept() is "
        "not seen (fewer connections, or --trickle, would tell)."
    )


def _of_ages(run: RunResult, oldest_s: float, later_s: float) -> tuple[Verdict, str]:
    """The verdict by the age at which the first was closed; the last was older by `later_s`. Who looks may be late."""
    ended = failures(run)
    if oldest_s < _SHORTEST_S:
        return "ruled_out", f"The first was closed after {oldest_s:.2f} s: not for being silent."
    if not -_SPREAD_S <= later_s <= max(_SPREAD_S, oldest_s) or ended < _SHARE * run.funnel.connected:
        return "ruled_out", "They were not closed at one age."
    if later_s > _SPREAD_S:
        text = f"Silent connections were closed at ages from {oldest_s:.1f} s on, up to {later_s:.1f} s later"
        return "possible", f"{text}: a program that looks at them only now and then does so."
    verdict, doubt = _weigh(run)
    text = f"{plural(ended, 'silent connection was', 'silent connections were')} closed after {oldest_s:.1f} s each"
    return verdict, f"{text}: a time that the server's program sets (--trickle tells an age from silence){doubt}."


def _weigh(run: RunResult) -> tuple[Verdict, str]:
    """Whether the server's end leaves no doubt, and what doubt there is, as the end of a sentence."""
    watch, after = facts.listener(run), run.server.after
    if watch is None or after is None or after.listeners is None:
        return "possible", "; or that of something between, or its end: its host was not observed"
    if (sent_by_it := run.server.rose(sent.OUT_RSTS)) is not None and sent_by_it < closings.resets(run):
        return "possible", "; or of something between, for its host sent fewer resets"
    if owners.gone(run) or watch.inode not in {listener.inode for listener in after.listeners}:
        return "possible", "; but what listened is gone"
    own = facts.server_rose(run, facts.ACTIVE_OPENS, run.funnel.attempted)
    if own is None or own >= failures(run):
        return "possible", "; or it gave up waiting for a backend: its host made connects of its own"
    return "confirmed", ""


def _connected_by_s(run: RunResult) -> float | None:
    """When the last connect had been made, in seconds since the start. None: not seen."""
    seen_s = next((point.t_s for point in run.timeline if point.connected >= run.funnel.connected), None)
    slowest = run.latency.connect_us.max if run.latency.connect_us is not None else None
    if seen_s is None or slowest is None or facts.asked_rate(run) is not None:
        return seen_s
    # All began at once, but for those that waited for others to connect first; on a busy machine a sample comes late.
    waves = math.ceil(run.funnel.attempted / (facts.asked(run, "in_flight") or run.funnel.attempted))
    before_s = max((point.t_s for point in run.timeline if point.connected < run.funnel.connected), default=0.0)
    return max(before_s, min(seen_s, waves * slowest / 1e6 + _TICK_S))


def _evidence(run: RunResult, ended: int) -> list[Evidence]:
    closed = plural(ended, "connection was", "connections were")
    text = f"{closed} closed by the other end, {closings.resets(run):,} of them by RST, of {run.funnel.connected:,}"
    return [measured("failures", "read eof, ECONNRESET", ended, text), *sent.reset_evidence(run)]


def failures(run: RunResult) -> int:
    """What was closed: in order, or by RST (MariaDB does so where a client has not read what it was told)."""
    return closings.ended_early(run)


def _borne_s(run: RunResult) -> float | None:
    """For how long the program bore silence. None: not known."""
    span = idle_times.idle_times(run).rested_s if run.idle_gaps else closings.ended_between_s(run)
    return span[0] if span is not None and math.isfinite(span[0]) else None


def remedies(run: RunResult) -> list[Remedy]:
    """Who closes first should be the client; then what does nothing."""
    borne_s = _borne_s(run)
    age = "the server's" if borne_s is None else f"{borne_s:.1f} s"
    shorter = changes.idle_shorter(borne_s) if borne_s is not None and run.idle_gaps else None
    return [
        Remedy(
            command=f"an idle time below {age} in the clients' pool (IdleConnTimeout, keepalive_timeout, maxIdleTime)",
            works=True,
            changes=[shorter or changes.program("the clients' pool")],
            why="The client then never asks over a connection that the server is closing.",
        ),
        *_own_settings(run, borne_s),
        Remedy(
            command="try again, once, what can be asked twice",
            works=True,
            changes=[changes.program("the clients")],
            why="Between the server's close and the client's next request there is always a moment.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_keepalive_time=60",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_keepalive_time", 60)],
            why="A program counts what it reads: keepalive probes of the kernel are no data.",
        ),
        bigger_backlog("Each connection was accepted long before."),
    ]


def _own_settings(run: RunResult, age_s: float | None) -> list[Remedy]:
    """The settings of the programs that own the listener, for twice the age that was seen; else how many call it."""
    why = "It is the program's own setting; above that of all clients and proxies before it."
    longer = _PATIENT_S if age_s is None else 2 * math.ceil(age_s)
    known = [program.idle for program in programs.of(run.server.processes or ()) if program.idle is not None]
    if known:
        return [
            Remedy(
                command=setting.lasting(longer, facts.target_port(run) or "PORT"),
                works=True,
                changes=[changes.IDLE_LONGER],
                why=f"{why} (Otherwise: {setting.default}.)",
            )
            for setting in known
        ]
    usual = programs.usual(lambda program: program.idle)
    called = ", ".join(f"{name} {setting.short}" for name, setting in usual)
    command = f"a longer idle time at the server ({called})"
    return [Remedy(command=command, works=True, changes=[changes.IDLE_LONGER], why=why)]


CAUSE = Cause(
    id="server_idle_close",
    side="server",
    stage=ConnectionStage.ANSWER,
    judge_run=judge_run,
    judge_snapshots=NeedsRun("How old connections are, and who closes them, shows at the clients"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that closes what was silent for as long as the record's"),
)
