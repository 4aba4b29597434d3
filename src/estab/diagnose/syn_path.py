"""What a SYN met between the client and the listener: whether it arrived, and whether losing one means losing all.

What lives here: reading both ends of a run against each other, for the suspects on the path. No verdict.

A SYN that the listener refuses shows in its own sk_drops and in ListenDrops, a SYN that it answers in PassiveOpens. One
that shows in neither while the client sent it again (TCPSynRetrans) never arrived, or its answer never came back.
Sources: `tcp_conn_request`, `tcp_create_openreq_child`, `tcp_retransmit_timer` (net/ipv4; docs/kernel.md rules 3, 17,
28).
"""

from __future__ import annotations

from dataclasses import dataclass

from estab.diagnose import facts
from estab.diagnose.evidence import measured, unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.kernel.rules.syn_retries import sees_retransmission
from estab.records import Evidence, RunResult, Snapshot
from estab.words import places, plural

# So few lost SYNs may be chance.
FEW = 3
# All that is connected within so long met one state of the way: a rule or a route that changed just then is no guess.
_AT_ONCE_S = 1.0
_CLOSED_IN_ORDER = ("TIME-WAIT", "FIN-WAIT-2")


@dataclass(frozen=True)
class SynPath:
    """How the connects of a run fared on their way.

    `timeouts`: connects that timed out. `late`: came through after a second SYN. `arrived`: the listener's end shows
    the SYNs of those that failed. `unanswered`: the client shows that nobody answered them. `for_good`: a connect that
    lost its first SYN lost every one, so it is no chance. `went_on`: after the first failure connects went on
    succeeding, so it is no ceiling. `patient`: a connect lasted long enough for a second SYN. None: not observed.
    """

    timeouts: int
    late: int
    arrived: bool | None
    unanswered: bool | None
    for_good: bool | None
    went_on: bool | None
    patient: bool

    @property
    def reached(self) -> str | None:
        """Why what timed out was not lost on its way, in a sentence. None: nothing says so."""
        if self.arrived:
            return "What failed had arrived: the listener's own end shows it."
        return "The connects that timed out had been answered." if self.unanswered is False else None


def syn_path(run: RunResult) -> SynPath:
    """What both ends tell of the connects of `run`."""
    return SynPath(
        timeouts=facts.connect_timeouts(run),
        late=facts.late_connects(run),
        arrived=_arrived(run),
        unanswered=_unanswered(run),
        for_good=_for_good(run),
        went_on=_went_on(run),
        patient=_patient(run),
    )


def _arrived(run: RunResult) -> bool | None:
    watch = facts.listener(run)
    if watch is None:
        return None
    drops = _turned_away(run)
    if drops is None:
        return True if facts.was_full(watch) else None
    if drops - max(0, run.server.rose(facts.DEFER_DROPS) or 0) > 0:
        return True
    lost, opened = facts.connect_timeouts(run), run.server.rose(facts.PASSIVE_OPENS)
    return lost > 0 and opened is not None and opened - run.funnel.connected >= max(1, lost / 2)


def _turned_away(run: RunResult) -> int | None:
    """SYNs and ACKs that the listener refused, at most. None: not observed.

    Each counts in its own drops and in ListenDrops. Its own drops alone also count a SYN that came again while its
    SYN-ACK was under way (`tcp_v4_rcv`, where `tcp_check_req` takes nothing): that one was answered.
    """
    known = [drops for drops in (facts.listener_drops(run), run.server.rose(facts.LISTEN_DROPS)) if drops is not None]
    return min(known, default=None)


def _patient(run: RunResult) -> bool:
    """Does a connect last long enough for its SYN to be sent again?"""
    timeout = facts.asked_timeout(run)
    return timeout is None or sees_retransmission(timeout)


def _unanswered(run: RunResult) -> bool | None:
    lost = facts.connect_timeouts(run)
    if not lost:
        return False
    if facts.failed(run, ("connect",), ("ETIMEDOUT",)) * 2 >= lost:
        return True
    if _patient(run):
        again = run.client.rose(facts.SYN_RETRANS)
        return None if again is None else again * 2 >= lost
    opened = run.server.rose(facts.PASSIVE_OPENS)
    return None if opened is None else opened - run.funnel.connected < lost / 2


def _for_good(run: RunResult) -> bool | None:
    lost = facts.connect_timeouts(run)
    if not lost:
        return None
    if facts.late_connects(run) or _patient(run):
        # A flow that ends makes room for another: one in ten may slip through a full table.
        return facts.late_connects(run) * 10 <= lost
    # Without retransmissions only the timeline tells.
    went_on = _went_on(run)
    return None if went_on is None else not went_on


def _went_on(run: RunResult) -> bool | None:
    """After the first failure, did more than a tenth of the later connects succeed? None: hardly any came later."""
    broken = [p for p in run.timeline if p.failed > 0]
    if not broken:
        return None
    later = run.funnel.attempted - broken[0].attempted
    if later < FEW:
        return None
    return (run.funnel.connected - broken[0].connected) * 10 > later


def way_ended_s(run: RunResult) -> float | None:
    """When the last connect got through, in seconds since the start, where the way may have ended then for all.

    None: the connects had come at once, so it was their number; or what was open went on; or it was not recorded.
    """
    points = run.timeline
    last_s = next((point.t_s for point in points if point.connected >= run.funnel.connected), None)
    if last_s is None or last_s <= _AT_ONCE_S or not run.funnel.connected:
        return None
    return None if _open_ones_went_on(run, last_s) else last_s


def _open_ones_went_on(run: RunResult, since_s: float) -> bool:
    """Whether connections that were open were answered after that moment, or closed in order at the end."""
    later = [point.requests for point in run.timeline if point.t_s > since_s]
    if later and later[-1] > later[0]:
        return True
    most = 0 if run.command == "churn" else max((point.open for point in run.timeline), default=0)
    states = next((point.client_states for point in reversed(run.timeline) if point.client_states), {})
    at_server = run.server.after.server_sockets if run.server.after is not None else None
    # Those of a way that has ended wait at both ends: in FIN-WAIT-1 here, and as if nothing had happened there.
    arrived = at_server is not None and at_server.states.get("ESTAB", 0) * 2 < most
    return bool(most) and (arrived or sum(states.get(state, 0) for state in _CLOSED_IN_ORDER) * 2 > most)


# Between two snapshots --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SynsBetween:
    """What two snapshots of a host show of the SYNs that it sent itself.

    `again`: so many were sent again in between (None: not observed). `begun`: connects that were begun. `waiting`:
    connects without an answer at both moments, at least, as far as they were counted then (None: at neither).
    `refused_here`: SYNs that listeners of the host turned away.
    """

    again: int | None
    begun: int | None
    waiting: int | None
    refused_here: int

    @property
    def why_not(self) -> str | None:
        """Why nothing was lost on a way out of this host, in a sentence. None: nothing says so."""
        if self.again is not None and self.again < FEW:
            return "Hardly a SYN of this host had to be sent again."
        if self.again is not None and self.refused_here * 2 >= self.again:
            return "Listeners of this host turned SYNs away: its own clients may ask there."
        return None

    @property
    def evidence(self) -> list[Evidence]:
        """SYNs that were sent again, and connects that wait."""
        text = "was not observed" if self.again is None else f"rose by {self.again:,}: SYNs left again, unanswered"
        begun = "" if self.begun is None else f"; {plural(self.begun, 'connect was', 'connects were')} begun"
        waits = "connects that wait for an answer were not counted"
        if self.waiting is not None:
            waits = f"{plural(self.waiting, 'connect')} or more waited for an answer at both moments"
        return [
            measured("/proc/net/netstat", facts.SYN_RETRANS, self.again, f"TCPSynRetrans {text}{begun}", FEW),
            measured("sock_diag", "SYN-SENT", self.waiting, waits),
        ]


def syns_between(snapshots: Snapshots) -> SynsBetween:
    """What the two show; `again` None where there is but one."""
    ends = (snapshots.before, snapshots.after)
    waiting = [at.states.get("SYN-SENT", 0) for at in ends if at is not None and at.states is not None]
    return SynsBetween(
        again=snapshots.rose(facts.SYN_RETRANS),
        begun=snapshots.rose("Tcp.ActiveOpens"),
        waiting=min(waiting, default=None),
        refused_here=max(0, snapshots.rose(facts.LISTEN_DROPS) or 0),
    )


# Evidence ----------------------------------------------------------------------------------------------------------


def arrival_evidence(run: RunResult) -> list[Evidence]:
    """What left the client, and what the listener's end shows of it."""
    again = run.client.rose(facts.SYN_RETRANS)
    seen = "was not observed at the client" if again is None else f"rose by {again:,}: SYNs left again, unanswered"
    text = f"TCPSynRetrans {seen}"
    evidence = [measured("/proc/net/netstat", facts.SYN_RETRANS, again, text)]
    watch = facts.listener(run)
    if watch is None:
        text = f"whether they arrived was not observed: {facts.why_unseen(run)}"
        return [*evidence, unknown("sock_diag", "listener", text)]
    drops, opened = facts.listener_drops(run), run.server.rose(facts.PASSIVE_OPENS)
    turned = "were not observed" if drops is None else f"rose by {drops:,}"
    text = (
        f"the listener's own drops {turned}; its queue had "
        f"{places(watch.worst_depth, facts.room(watch))} in use at worst"
    )
    evidence.append(measured("sock_diag", "drops", drops, text))
    if opened is not None:
        text = f"the server opened {plural(opened, 'connection')} (PassiveOpens), the client {run.funnel.connected:,}"
        evidence.append(measured("/proc/net/snmp", facts.PASSIVE_OPENS, opened, text, run.funnel.attempted))
    return evidence


def ends(run: RunResult) -> list[tuple[str, Snapshot | None, Snapshot | None]]:
    """Each observed end as (its name, before, after)."""
    client = ("client", run.client.before, run.client.after)
    server = run.server
    return [client, ("server", server.before, server.after)] if server.observed else [client]


def listened_throughout(run: RunResult) -> bool:
    """Did something listen on the port before and after, as far as that was read?"""
    port = facts.target_port(run)
    return all(_listens(taken, port) is not False for taken in (run.server.before, run.server.after))


def _listens(taken: Snapshot | None, port: int | None) -> bool | None:
    if taken is None or taken.listeners is None or port is None:
        return None
    return any(listener.port == port for listener in taken.listeners)


def netfilter_drops(run: RunResult) -> int | None:
    """Packets that a firewall of either host dropped, as the drop reasons show them. None: not observed."""
    return dropped_as(run, facts.NETFILTER_DROP)


def dropped_as(run: RunResult, reason: str) -> int | None:
    """Packets that either host dropped for that reason, by the kernel's name of it. None: not observed."""
    seen = [after.drop_reasons for _, _, after in ends(run) if after is not None and after.drop_reasons is not None]
    # The reasons are those of a whole host: where both ends are one host, they are the same events.
    return max((max(0, reasons.kfree_skb.get(reason, 0)) for reasons in seen), default=None)


def filter_rules(run: RunResult) -> dict[str, bool]:
    """Whether each observed end has nft or iptables rules; an end where that was not read is missing."""
    has_rules = {}
    for name, before, after in ends(run):
        known = [
            rules
            for taken in (before, after)
            if taken is not None and taken.security is not None
            for rules in (taken.security.nft_rules, taken.security.iptables_rules)
            if rules is not None
        ]
        if known:
            has_rules[name] = any(known)
    return has_rules
