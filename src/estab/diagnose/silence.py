"""Whether all that was heard of a peer ended at one moment, on every connection to it. No verdict.

The kernel of a peer acknowledges what arrives, whatever its program does. Each connection that got no answer says what
of its data went unacknowledged, since when it had waited, and when its peer was last heard (TCP_INFO; `tcp_get_info`,
net/ipv4/tcp.c). Where one was still heard while another had long waited in vain, the peer was there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from estab.diagnose import facts, sent
from estab.diagnose.evidence import measured
from estab.diagnose.syn_path import way_ended_s
from estab.kernel.formats.endpoint import endpoint
from estab.records import ConnectAfter, Evidence, PeerLook, RunResult, Stall, TimelinePoint
from estab.records.failure import OF_CONNECTED
from estab.words import plural

_READ_LATE_S = 1.0  # an answer may wait so long for a client that gets no core
GIVEN_UP = facts.TIMEOUTS | sent.UNREACHABLE


@dataclass(frozen=True)
class Unacknowledged:
    """Connections whose data nobody acknowledged, `count` of them known one by one.

    `before` had waited for longer than the kernel's first time-out when their peer was last heard, and `exchanged` had
    been answered at least once.
    """

    count: int
    before: int
    exchanged: int

    @property
    def at_once(self) -> bool:
        """Whether none, but for a few, had waited for long when the peer was last heard."""
        return self.before * 4 <= self.count

    @property
    def mostly_answered(self) -> bool:
        """Whether most of them had been answered before."""
        return self.exchanged * 2 > self.count


def _unacknowledged(stalls: Sequence[Stall], heard_s: float) -> Unacknowledged:
    return Unacknowledged(
        count=len(stalls),
        before=sum(stall.had_waited(heard_s) for stall in stalls),
        exchanged=sum(stall.bytes_received > 0 for stall in stalls),
    )


@dataclass(frozen=True)
class Silence:
    """How the connections of a run went silent. None: not observed.

    `stalled`: connections that were made and got no answer in time; what `unacknowledged` of them had sent nobody
    acknowledged. `unanswered`: connects that got none either. `heard_s`: when the peer was last heard on any of them,
    in seconds since the start. `sample`: of the unacknowledged. `ended_s`: when the last connect got through, where
    connects came for long. `after`: what a connect after the run gave.
    """

    stalled: int
    unacknowledged: int | None
    unanswered: int
    heard_s: float | None
    sample: Unacknowledged
    ended_s: float | None
    after: ConnectAfter | None

    @property
    def was_there(self) -> bool:
        """Whether the peer had answered before: most of these, or, where each connection asks once, others."""
        return self.sample.mostly_answered or (self.ended_s is not None and self.unanswered > 0)

    @property
    def answers_again(self) -> bool:
        """Whether the peer's own host answered a connect after the run, be it by a refusal."""
        after = self.after
        return after is not None and (after.errno is None or (after.errno in sent.REFUSED and after.said_by is None))


def silence(run: RunResult) -> Silence:
    """What the connections of `run` and a connect after it tell."""
    stalls, stalled = run.stalls, facts.failed(run, OF_CONNECTED, GIVEN_UP)
    lost = [stall for stall in stalls.sample if _is_unacknowledged(stall)] if stalls is not None else []
    heard_s = _last_heard_s(run)
    return Silence(
        stalled=stalled,
        unacknowledged=stalls.unacknowledged if stalls is not None else None if stalled else 0,
        unanswered=facts.failed(run, ("connect",), GIVEN_UP),
        heard_s=heard_s,
        sample=_unacknowledged(lost, heard_s or 0.0),
        ended_s=way_ended_s(run),
        after=run.connect_after,
    )


@dataclass(frozen=True)
class SilentPeer:
    """What one look at the connections to a peer tells; `silent_s`: for how long it was silent."""

    look: PeerLook
    sample: Unacknowledged
    silent_s: float

    def evidence(self) -> list[Evidence]:
        """How many send again, and since when nothing is heard."""
        look = self.look
        where = endpoint(look.address, look.port)
        text = f"{look.resending:,} of {plural(look.connections, 'connection')} to {where} sent data again and again"
        told = [measured("sock_diag", "idiag_retrans", look.resending, text)]
        text = f"no acknowledgement came on any of them for {self.silent_s:.1f} s"
        told.append(measured("TCP_INFO", "tcpi_last_ack_recv", round(self.silent_s, 3), text, None))
        return told


def silent_peer(look: PeerLook) -> SilentPeer:
    """What a look tells."""
    heard_s = look.at_s if look.heard_s is None else look.heard_s
    silent_s = look.at_s - heard_s
    return SilentPeer(
        look=look,
        sample=_unacknowledged(look.sample, heard_s),
        silent_s=silent_s if math.isfinite(silent_s) else 0.0,
    )


def asks_for_connect(run: RunResult) -> bool:
    """Whether a connect after the run tells something: data was lost, nothing got through any more, or ICMP refused."""
    stalls = run.stalls
    lost = stalls is not None and stalls.unacknowledged > 0
    ended = facts.connect_timeouts(run) > 0 and way_ended_s(run) is not None
    return lost or ended or sent.unreachable_by_icmp(run) or bool(sent.refused_by_icmp(run))


def evidence(seen: Silence) -> list[Evidence]:
    """Who waited in vain, since when nothing was heard, and what a connect after the run gave."""
    text = f"{plural(seen.stalled, 'connection')} got no answer in time"
    told = [measured("failures", "read, write own_timeout, ETIMEDOUT", seen.stalled, text)]
    if seen.unanswered:
        text = f"{plural(seen.unanswered, 'connect')} got none either"
        told.append(measured("failures", "connect own_timeout, ETIMEDOUT, EHOSTUNREACH", seen.unanswered, text))
    if seen.unacknowledged is not None and seen.stalled:
        text = f"what {seen.unacknowledged:,} of them had sent nobody acknowledged"
        told.append(measured("TCP_INFO", "tcpi_unacked", seen.unacknowledged, text, seen.stalled / 2))
    if seen.heard_s is not None and seen.sample.count:
        text = f"the peer was last heard {seen.heard_s:.2f} s after the start, on whichever connection"
        told.append(measured("TCP_INFO", "tcpi_last_ack_recv", round(seen.heard_s, 3), text, None))
        before, known = seen.sample.before, seen.sample.count
        text = f"{before:,} of {known:,} had waited for longer than their first time-out (RTO) by then"
        told.append(measured("TCP_INFO", "asked_s", before, text, known / 4))
    return [*told, *sent.after_evidence(seen.after)]


def _is_unacknowledged(stall: Stall) -> bool:
    """What the kernel gave up itself it has dropped, and then its time-outs tell (`tcp_write_err`)."""
    return stall.unacked > 0 or stall.retransmits > 0


def _last_heard_s(run: RunResult) -> float | None:
    """The latest of the acknowledgements that the kernel knows of, and of the answers that a busy client read late."""
    moments = [run.stalls.heard_s] if run.stalls is not None else []
    moments += [earlier.t_s - _READ_LATE_S for earlier, later in pairwise(run.timeline) if _heard(earlier, later)]
    return max(moments, default=None)


def _heard(earlier: TimelinePoint, later: TimelinePoint) -> bool:
    return (
        later.connected > earlier.connected
        or later.first_byte > earlier.first_byte
        or later.requests > earlier.requests
    )
