"""What became of data once a connection stood: whether it was acknowledged, and by whom it was not. No verdict.

Data that is not acknowledged is sent again when its timer ends: TCPTimeouts (`tcp_retransmit_timer`,
net/ipv4/tcp_timer.c), which counts SYNs and SYN-ACKs as well, and these alone in TCPSynRetrans. A peer whose program
does nothing still acknowledges, for its kernel does. A connection that is closed with data outstanding stays in
FIN-WAIT-1. What a full window holds back is probed (`tcp_probe_timer`) and counts in neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose import facts
from estab.diagnose.evidence import NETSTAT, measured
from estab.kernel.rules.segment_size import SMALL_MSS
from estab.records import ClientSide, Evidence, RunResult, ServerSide, Stall
from estab.records.failure import OF_CONNECTED
from estab.words import plural

TIMEOUTS = "TcpExt.TCPTimeouts"
_UNACKNOWLEDGED = "FIN-WAIT-1"
_UNACKNOWLEDGED_AT_SERVER = ("FIN-WAIT-1", "LAST-ACK", "CLOSING")


@dataclass(frozen=True)
class DataPath:
    """How the data of a run fared. None: not observed.

    `stalled`: connections that got no answer in time. `requests_again`, `answers_again`: how often the timer of data
    ended at the client, at the server. `left`: connections that the client closed, and whose data or FIN nobody
    acknowledged; `left_at_server`: the same of the server's.
    """

    stalled: int
    requests_again: int | None
    answers_again: int | None
    left: int | None
    left_at_server: int | None

    @property
    def requests_lost(self) -> bool:
        """Whether what the client sent on most of them went unacknowledged."""
        return (self.requests_again or 0) * 2 > self.stalled

    @property
    def answers_lost(self) -> bool:
        """Whether what the server sent on most of them went unacknowledged."""
        return not self.requests_lost and (self.answers_again or 0) * 2 > self.stalled

    @property
    def sure(self) -> bool:
        """Whether as many of the connections themselves show it, not the counters of a whole host alone."""
        left = self.left if self.requests_lost else self.left_at_server
        return (left or 0) * 2 > self.stalled

    def evidence(self, run: RunResult) -> list[Evidence]:
        """Who waited in vain, and what was sent again."""
        text = f"{plural(self.stalled, 'connection')} got no answer in time"
        evidence = [measured("failures", "read, write own_timeout, ETIMEDOUT", self.stalled, text)]
        for who, again, left in (
            ("client", self.requests_again, self.left),
            ("server", self.answers_again, self.left_at_server),
        ):
            if again is None:
                continue
            text = f"at the {who} the timer of data ended {again:,} times (TCPTimeouts less TCPSynRetrans)"
            evidence.append(measured(NETSTAT, TIMEOUTS, again, text, self.stalled / 2))
            if left is not None:
                text = f"{plural(left, 'closed connection')} of the {who} had data that nobody acknowledged"
                evidence.append(measured("sock_diag", _UNACKNOWLEDGED, left, text, self.stalled / 2))
        again = run.client.rose(facts.SYN_RETRANS)
        if again is not None:
            text = f"{plural(again, 'SYN was', 'SYNs were')} sent again"
            evidence.append(measured(NETSTAT, facts.SYN_RETRANS, again, text))
        return evidence + over_time(run)


def over_time(run: RunResult) -> list[Evidence]:
    """How that connection fared while it waited, of those that were followed, which sent its data again most often."""
    worst = max(run.client.resending, key=_times_again, default=None)
    if worst is None:
        return []
    first, *later = [look for look in run.client.resending if look.connection == worst.connection]
    if not later:
        return []
    last, again = later[-1], _times_again(worst)
    acked, heard_s = last.bytes_acked - first.bytes_acked, max(0.0, last.heard_s)
    text = (
        f"{worst.connection} sent data again {plural(again, 'time')}, in segments of up to "
        f"{plural(last.snd_mss, 'byte')}: from {first.at_s:.1f} to {last.at_s:.1f} s after the start "
        f"{plural(acked, 'byte was', 'bytes were')} acknowledged, and its peer was last heard at {heard_s:.1f} s"
    )
    return [measured("TCP_INFO", "tcpi_total_retrans, over time", again, text, None)]


def _times_again(look: Stall) -> int:
    """What waits in this host, as for a neighbour's answer, counts only as a time-out."""
    return max(look.total_retrans, look.retransmits)


def data_path(run: RunResult) -> DataPath:
    """What both ends tell of the data of `run`."""
    return DataPath(
        stalled=facts.failed(run, OF_CONNECTED, facts.TIMEOUTS),
        requests_again=_again(run.client),
        answers_again=_again(run.server) if run.server.observed else None,
        left=_left(run),
        left_at_server=_left_at_server(run),
    )


def why_not(run: RunResult, data: DataPath) -> str | None:
    """Why the path lost no data, in a sentence. None: nothing says so."""
    if not data.stalled:
        return "No connection waited in vain for an answer."
    drops = run.server.rose(facts.LISTEN_DROPS) or 0
    if drops * 2 > data.stalled:
        # It drops the last ACK of a handshake as well: the client then sends into a connection that is not there.
        return "The listener turned packets away: what it did not take is not acknowledged."
    if (data.requests_again, data.answers_again) == (None, None):
        return None
    return None if data.requests_lost or data.answers_lost else "What was sent was acknowledged: the path lost no data."


def request_bytes(run: RunResult) -> int | None:
    """How big a request was. None: none was sent."""
    size = facts.asked(run, "size_bytes")
    return int(size) if size else None


def asks_for_probe(run: RunResult) -> bool:
    """Whether it is worth trying afterwards if smaller segments pass: data was lost that would not fit into one."""
    data = data_path(run)
    lost = data.stalled > 0 and (data.requests_lost or data.answers_lost or _came_out_of_order(run, data.stalled))
    return lost and (request_bytes(run) or 0) > SMALL_MSS


def beginnings_lost(run: RunResult, data: DataPath) -> bool:
    """Whether ends of most answers came and their beginnings did not, where the server's end was not seen."""
    return data.stalled > 0 and data.answers_again is None and _came_out_of_order(run, data.stalled)


def _came_out_of_order(run: RunResult, stalled: int) -> bool:
    """Whether ends of answers came to the client without their beginnings (TCPOFOQueue, `tcp_data_queue_ofo`)."""
    return (run.client.rose("TcpExt.TCPOFOQueue") or 0) * 2 > stalled


def _again(side: ClientSide | ServerSide) -> int | None:
    timers, syns = side.rose(TIMEOUTS), side.rose(facts.SYN_RETRANS)
    return None if timers is None or syns is None else max(0, timers - max(0, syns))


def _left(run: RunResult) -> int | None:
    ends = [end.states for end in (run.client.before, run.client.after) if end is not None and end.states is not None]
    if len(ends) < 2:
        return None
    return max(0, ends[1].get(_UNACKNOWLEDGED, 0) - ends[0].get(_UNACKNOWLEDGED, 0))


def _left_at_server(run: RunResult) -> int | None:
    after = run.server.after if run.server.observed else None
    if after is None or after.server_sockets is None:
        return None
    return sum(after.server_sockets.states.get(state, 0) for state in _UNACKNOWLEDGED_AT_SERVER)
