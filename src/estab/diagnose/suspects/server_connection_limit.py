"""The program keeps no more than so many connections: what comes beyond is accepted, and closed at once.

The kernel has no such limit: accept() succeeds, and the program closes (redis `maxclients`, Node `maxConnections`,
memcached `-c`), often after a line that says so, or it closes the connection that was idle for longest (nginx
`worker_connections`). A program that stops accepting at its limit is server_not_accepting.
"""

from __future__ import annotations

from estab.diagnose import closings, descriptors, facts, owners
from estab.diagnose.advice import changes, programs
from estab.diagnose.advice.descriptors import lasting_limit
from estab.diagnose.advice.futile import bigger_backlog
from estab.diagnose.advice.programs import Setting
from estab.diagnose.cause import Cause, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.closings import Kept
from estab.diagnose.descriptors import FullestProcess
from estab.diagnose.evidence import SNMP, listener_unseen, measured, unknown
from estab.records import Evidence, Failure, Process, Remedy, RunResult, Verdict
from estab.words import plural

_QUIET_S = 1.0  # so long nothing may end any more: what is old or idle goes on to end
_LIVED_S = 0.5  # so long at most what is over the limit lives
_SHARE = 20  # of so many connections at least one must have been closed: less may be chance
_FEWEST = 3
_REDIS_SPARES = 32  # descriptors that redis keeps from its clients: its CONFIG_MIN_RESERVED_FDS


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where so many stayed, each beyond was closed at once by the server's program, and nothing else did."""
    words, stayed = closings.refused_in_words(run), closings.kept(run)
    evidence = _evidence(run, stayed, words)
    if words is not None:
        return _said(run, words, evidence)
    ended = closings.ended_early(run)
    if not ended:
        return Judgement("ruled_out", "No connection was closed early.", evidence)
    if stayed is None:
        text = f"Whether others stayed while {plural(ended, 'connection was', 'connections were')} closed early shows"
        return Judgement("not_observed", f"{text} only a load that keeps its connections: run estab hold.", evidence)
    if (why := _why_no_ceiling(stayed, ended, run)) is not None:
        return Judgement("ruled_out", why, evidence)
    verdict, summary = _weigh(run, stayed, ended)
    return Judgement(verdict, summary, evidence)


def _said(run: RunResult, words: Failure, evidence: list[Evidence]) -> Judgement:
    said = f'{plural(words.count, "connection was", "connections were")} told "{words.first_bytes}"'
    if run.server.observed:
        return Judgement("confirmed", f"The server has as many connections as it may: {said}, and closed.", evidence)
    return Judgement("possible", f"{said}: whoever answers has as many connections as it may.", evidence)


def _why_no_ceiling(stayed: Kept, ended: int, run: RunResult) -> str | None:
    """Why it is no number of connections that decided who was closed. None: it may be."""
    if stayed.open <= 0:
        return "No connection stayed open: it is no number of them that is too high."
    if stayed.lived_s > _LIVED_S and not _waited_unseen(run) and not _came_late(run):
        return f"What was closed had lived for {stayed.lived_s:.1f} s: it was not closed for being one too many."
    # Each process has a number of its own: one of several may be full while others have room.
    processes = max(1, len(run.server.processes or ()))
    if stayed.fewest < (stayed.open - max(1, stayed.open // 10)) / processes:
        return f"Connections were closed when {stayed.fewest:,} were open, and {stayed.open:,} were later."
    if closings.order_decided(run) is False and processes < 2:
        return "Those that were closed came neither before nor after those that stayed: a share of all, not a number."
    if ended < _FEWEST or ended * _SHARE < run.funnel.connected:
        return f"{ended:,} of {plural(run.funnel.connected, 'connection')} closed early may be chance."
    return None


def _waited_unseen(run: RunResult) -> bool:
    """Whether they may have waited in an accept queue that was not seen. (What is old or idle ends the first ones.)"""
    return not run.server.observed and closings.first_stayed(run) is True


def _came_late(run: RunResult) -> bool:
    """Whether some were open at the client long before they reached the server, whose queue had been full."""
    return run.ghosts is not None and run.ghosts.count > 0


def _weigh(run: RunResult, stayed: Kept, ended: int) -> tuple[Verdict, str]:
    told = (
        f"{stayed.open:,} of {plural(run.funnel.connected, 'connection')} stayed open, "
        "and for each beyond one was closed at once"
    )
    if stayed.quiet_s < _QUIET_S:
        return "possible", f"{told}; the run ended {stayed.quiet_s:.1f} s later, too soon to tell (a longer one would)."
    if not run.server.observed:
        return "possible", f"{told}: a limit of the server's program looks like this, or of a proxy before it."
    if stayed.lived_s > _LIVED_S:
        return (
            "possible",
            f"{told}, or for its age: how old it was at the server is not seen, for its queue overflowed.",
        )
    full = descriptors.fullest_server(run)
    if full is not None and full.at_its_last and not _spoke_first(run, ended):
        return "ruled_out", f"{full.who} had no descriptor left for more."
    if (doubt := _untold_order(run) or _doubt(run, stayed, full)) is not None:
        return "possible", f"{told}, but {doubt}."
    who = _owner(run)
    name = who.name if who is not None and who.name else "The server's program"
    return "confirmed", f"{name} keeps {max(stayed.open, stayed.held or 0):,} connections and no more: {told}."


def _untold_order(run: RunResult) -> str | None:
    """Why what stayed may be a share of all. None: it is not."""
    if closings.order_decided(run) or facts.asked_rate(run) is not None:
        return None
    if closings.order_decided(run) is False:
        return "not those that came first stayed: one of several processes may be full while another has room"
    return "whether those that stayed came first can't be told, for all came at once (--ramp would tell)"


def _doubt(run: RunResult, stayed: Kept, full: FullestProcess | None) -> str | None:
    """What keeps the server's end from confirming it. None: nothing does."""
    if stayed.waiting:
        return f"{plural(stayed.waiting, 'connection')} still waited to be accepted"
    if stayed.held is not None and stayed.held < stayed.open:
        return f"the server has {stayed.held:,} of those that stayed"
    if full is None and not _spoke_first(run, closings.ended_early(run)):
        return "whether it had descriptors left was not observed (try as root)"
    sent, reset = run.server.rose("Tcp.OutRsts"), closings.resets(run)
    if sent is not None and sent < reset:
        return f"its host sent {plural(sent, 'reset')} of {reset:,}: somebody between did"
    own = facts.server_rose(run, facts.ACTIVE_OPENS, run.funnel.attempted)
    if own and own >= closings.ended_early(run):
        return f"its host made {plural(own, 'connect')} of its own: what is behind it may have closed them"
    gone = next(iter(owners.gone(run)), None)
    return None if gone is None else f"{gone.words}, which listened, ended meanwhile"


def _spoke_first(run: RunResult, ended: int) -> bool:
    """Whether bytes came to just those that were closed, of a load that asks nothing: a program said why it closes."""
    return run.requests is None and 0 < run.funnel.first_byte == ended


def _owner(run: RunResult) -> Process | None:
    """The process that holds the connections: of the listener's owners that with most descriptors."""
    return max(run.server.processes or (), key=lambda process: process.fds or 0, default=None)


def failures(run: RunResult) -> int:
    """What was closed early, and what was told so in place of an answer."""
    words = closings.refused_in_words(run)
    return closings.ended_early(run) + (words.count if words is not None else 0)


def _evidence(run: RunResult, stayed: Kept | None, words: Failure | None) -> list[Evidence]:
    ended = closings.ended_early(run)
    text = f"{plural(ended, 'connection was', 'connections were')} closed or reset early"
    evidence = [measured("failures", "read eof, ECONNRESET, EPIPE", ended, text)]
    if words is not None:
        text = f'{plural(words.count, "reply", "replies")} began "{words.first_bytes}": no room for more connections'
        evidence.append(measured("failures", "first_bytes", words.first_bytes, text, None))
    if stayed is not None:
        text = f"{stayed.open:,} stayed open, and none ended in the last {stayed.quiet_s:.1f} s"
        evidence.append(measured("timeline", "open", stayed.open, text))
        text = f"what was closed had lived for {stayed.lived_s:.2f} s beside those, on average"
        evidence.append(measured("timeline", "open", round(stayed.lived_s, 3), text, _LIVED_S))
        evidence.append(closings.order_evidence(run))
    return evidence + _server_evidence(run, stayed)


def _server_evidence(run: RunResult, stayed: Kept | None) -> list[Evidence]:
    if not run.server.observed:
        return [listener_unseen(run)]
    evidence = []
    opened = run.server.rose(facts.PASSIVE_OPENS)
    if opened is not None:
        text = f"its kernel made {plural(opened, 'connection')} of them (PassiveOpens)"
        if not facts.listener_drops(run):
            text += ": the queue turned none away"
        evidence.append(measured(SNMP, facts.PASSIVE_OPENS, opened, text, run.funnel.connected))
    if stayed is not None and stayed.held is not None:
        text = f"the program held {plural(stayed.held, 'connection')} at that port before the load's end"
        evidence.append(measured("sock_diag", "held", stayed.held, text, None))
    full = descriptors.fullest_server(run)
    if full is None:
        return [*evidence, unknown("/proc/PID/fd", "fds", "the server's descriptors were not observed")]
    text = f"{full.who} had {plural(full.fds, 'descriptor')} open of {full.limit:,}"
    return [*evidence, measured("/proc/PID/fd", "fds", full.fds, text, full.limit)]


# Remedies ----------------------------------------------------------------------------------------------------------


def remedies(run: RunResult) -> list[Remedy]:
    """The program's own setting, fewer connections; then what does nothing."""
    few = _kept_by(run)
    return [*_own_settings(run), *_fewer(few), *_does_nothing(run)]


def _kept_by(run: RunResult) -> int | None:
    stayed = closings.kept(run)
    return max(stayed.open, stayed.held or 0) if stayed is not None and stayed.open else None


def _own_settings(run: RunResult) -> list[Remedy]:
    size, port = _wanted(run), facts.target_port(run) or "PORT"
    more = [changes.connection_limit(size)]
    seen = programs.of(run.server.processes or ())
    known = [program.connections for program in seen if program.connections is not None]
    own = [Remedy(command=setting.at(size, port), works=True, changes=more, why=_why(setting)) for setting in known]
    usual = programs.usual(lambda program: program.connections)
    anyone = Remedy(
        command=f"a higher limit of connections in the program's own settings: {size}",
        works=True,
        changes=more,
        why=f"{'; '.join(f'{name}: {setting.shortly()}' for name, setting in usual)}.",
    )
    return [*_cut_by_descriptors(run, size), *(own or [anyone])]


def _why(setting: Setting) -> str:
    return f"The program closes what is over its own limit. (Otherwise: {setting.default}.)"


def _cut_by_descriptors(run: RunResult, size: int) -> list[Remedy]:
    """Redis takes as many clients as its descriptors allow, less 32, and says so at its start alone."""
    owner, few = _owner(run), _kept_by(run)
    if owner is None or few is None or owner.nofile_soft is None or not (owner.name or "").startswith("redis"):
        return []
    if owner.nofile_soft - _REDIS_SPARES != few:
        return []
    limit = size + _REDIS_SPARES
    return [
        Remedy(
            command=lasting_limit(limit, owner.service),
            works=True,
            changes=[changes.connection_limit(size)],
            why=f"Redis cut its maxclients to {owner.nofile_soft:,} descriptors less {_REDIS_SPARES}, when it started.",
        )
    ]


def _wanted(run: RunResult) -> int:
    """Room for all that was asked for at once, a power of two."""
    together = facts.asked_connections(run) or run.funnel.attempted
    return max(128, 1 << max(0, together - 1).bit_length())


def _fewer(few: int | None) -> list[Remedy]:
    many = "no more connections" if few is None else f"no more than {plural(few, 'connection')}"
    return [
        Remedy(
            command=f"a pool at the clients: {many} at once, all clients together",
            works=True,
            changes=[changes.fewer(few)],
            why="What the server keeps is enough where connections are used again.",
        ),
        Remedy(
            command="a shorter idle time in the server's settings, so that it ends what nobody uses",
            works=True,
            changes=[changes.program("its idle time", "server")],
            why="Connections that wait for nothing count as well.",
        ),
    ]


def _does_nothing(run: RunResult) -> list[Remedy]:
    full = descriptors.fullest_server(run)
    spare = "" if full is None or full.at_limit else f"{full.fds:,} of {full.limit:,} were in use: "
    return [
        bigger_backlog("No connection waited for accept(): each was accepted, and then closed."),
        Remedy(
            command="ulimit -n 65536, LimitNOFILE=65536",
            works=False,
            changes=[changes.nofile(65536, "server")],
            why=f"{spare}it is the program's own number that was reached, not its descriptors.",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_max_syn_backlog=65536",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_max_syn_backlog", 65536)],
            why="All handshakes ended well.",
        ),
    ]


CAUSE = Cause(
    id="server_connection_limit",
    side="server",
    stage=ConnectionStage.ACCEPT,
    specificity=3,
    explains={
        "server_open_files": "it closed what was over a limit of its own, and said so",
        "closed_with_data_unread": "what is over its limit is closed, whatever it had sent by then",
    },
    judge_run=judge_run,
    judge_snapshots=NeedsRun("What a program closes for being too many shows at those that it closed"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a server that closes at once what is over as many connections as the record's kept"),
)
