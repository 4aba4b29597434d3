"""Connections are made, and then their data is lost on the way: it is sent again and again, and nobody acknowledges it.

A firewall that knows no flow any more, or only lets handshakes pass, a tunnel that died, a host that is gone. The
kernel of a peer whose program hangs acknowledges all the same (`tcp_data_queue`, net/ipv4/tcp_input.c): unacknowledged
data has not arrived. It is sent again at doubled waits, for some 15 minutes (`tcp_retries2`).
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun, Probe, Rebuilt
from estab.diagnose.data_path import DataPath, data_path, why_not
from estab.diagnose.evidence import measured
from estab.records import Evidence, Remedy, RunResult, Verdict
from estab.words import plural, sentence


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where the data of most connections that got no answer went unacknowledged, and the server was seen."""
    data = data_path(run)
    return Judgement(*_weigh(run, data), data.evidence(run) + _probe_evidence(run))


def failures(run: RunResult) -> int:
    """Connections that got no answer in time."""
    return data_path(run).stalled


def _weigh(run: RunResult, data: DataPath) -> tuple[Verdict, str]:
    if (innocent := why_not(run, data)) is not None:
        return "ruled_out", innocent
    if not data.requests_lost and not data.answers_lost:
        return "not_observed", "Whether data was acknowledged was not observed."
    what = "requests" if data.requests_lost else "answers"
    told = f"the {what} of {plural(data.stalled, 'connection')} were sent again and never acknowledged"
    if not run.server.observed:
        return _weigh_unseen(run, data, told)
    if not data.sure:
        return "possible", f"{sentence(told)}, as the counters of the whole host say; the connections do not show it."
    lost_syns = facts.connect_timeouts(run) + facts.late_connects(run)
    if lost_syns * 10 > run.funnel.connected:
        return "possible", f"{sentence(told)}, but SYNs were lost as well."
    return "confirmed", f"Data is lost on the way: connects were answered, but {told}."


def _weigh_unseen(run: RunResult, data: DataPath, told: str) -> tuple[Verdict, str]:
    """From the client alone."""
    if data.requests_lost and _lost_afterwards(run):
        text = f"Data is lost on the way: {told}, and afterwards a connect was answered and its data was not."
        return "confirmed", text
    return "possible", f"{sentence(told)}: lost on the way, or the server's host is gone."


def _lost_afterwards(run: RunResult) -> bool:
    """Whether a connection that was made after the run lost its data too, in however small segments: who answers a
    connect is there.
    """
    return run.size_probe is not None and not run.size_probe.small_acknowledged


def _probe_evidence(run: RunResult) -> list[Evidence]:
    probe = run.size_probe
    if probe is None:
        return []
    fate = "was" if probe.small_acknowledged else "was never"
    size = plural(probe.small_mss, "byte")
    text = f"after the run a connect was answered, and a request {fate} acknowledged in segments of {size}"
    return [measured("a probe by size", "small_acknowledged", str(probe.small_acknowledged).lower(), text, None)]


def remedies(run: RunResult) -> list[Remedy]:
    """Where data may be lost, what shows it early, and what does nothing."""
    port = facts.target_port(run) or "PORT"
    return [
        Remedy(
            command=f"ss -tnoi 'dport = :{port}'   # unacked, backoff, retrans: at the client, while it hangs",
            works=True,
            changes=[changes.LOOK],
            why="Data that is unacked while backoff rises has not arrived; with none the program is slow.",
        ),
        Remedy(
            command=f"tcpdump -ni any 'tcp port {port}'   # at both ends, and on what stands between",
            works=True,
            changes=[changes.LOOK],
            why="Where the segment is seen last, the next hop loses it: a rule, a state table, a tunnel.",
        ),
        Remedy(
            command="fix what loses it: allow established flows; the same way there and back past a stateful firewall",
            works=True,
            changes=[changes.mend("what loses the data of connections")],
            why="Handshakes pass, so routes and listeners are well.",
        ),
        Remedy(
            command="setsockopt(TCP_USER_TIMEOUT), a heartbeat in the protocol; then a new connection",
            works=True,
            changes=[changes.program("how soon it gives a dead connection up")],
            why="Where only the old flow is forgotten a new one passes. The kernel alone tries for some 15 minutes.",
        ),
        Remedy(
            command="a longer request timeout",
            works=False,
            changes=[changes.LONGER_TIMEOUT],
            why="What is lost at each try does not come with waiting.",
        ),
        Remedy(
            command="a bigger backlog, bigger socket buffers; TCP keepalive",
            works=False,
            changes=[changes.queue()],
            why="No queue was full; and while data is unacknowledged no keepalive is sent.",
        ),
    ]


CAUSE = Cause(
    id="path_data_loss",
    side="path",
    stage=ConnectionStage.PATH,
    kind=CauseKind.LOST_DATA,
    explains={"server_not_accepting": "the program waits for data that does not arrive, and accepts nobody meanwhile"},
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Whose data is lost shows on connections of one's own"),
    failures=failures,
    remedies=remedies,
    told_by=frozenset({Probe.SIZES}),
    twin=Rebuilt("a wire that lets handshakes pass and no data"),
)
