"""What stood on the path of a recorded run, read from what it did to SYNs. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

from estab.diagnose import facts, idle_times, sent
from estab.diagnose.silence import silence
from estab.diagnose.successes import steady_rate
from estab.diagnose.suspects import checksum_errors, path_filtered
from estab.kernel.rules import accept_queue, syn_queue
from estab.kernel.rules.inputs import RuleInputError
from estab.lab.stage.setup import Closed, Path
from estab.lab.wire.spec import End
from estab.records import RunResult
from estab.words import plural

_HEADERS = 60  # bytes of a SYN: no data fits into as many
_NARROW = 1200  # bytes of an IP packet: less than an Ethernet's 1,500, more than the 576 that every path takes
_AT_ONCE_S = 1.0  # within it no SYN is sent again: those of the connects come first, then those sent again


def path_of(run: RunResult, assumed: list[str], *, over_wire: bool) -> Path:
    """The path of the twin; what had to be taken for granted of it is added to `assumed`.

    `over_wire`: both ends were two hosts, not one loopback.
    """
    cause = run.cause or ""
    rebuild = _BY_CAUSE.get(cause) or (_OVER_WIRE.get(cause) if over_wire else None)
    return Path() if rebuild is None else rebuild(run, assumed)


def _closed(run: RunResult, assumed: list[str]) -> Closed:
    """The kind of filter that gives the errors of the record."""
    kinds: dict[Closed, int] = {
        "drop": facts.failed(run, ("connect",), facts.TIMEOUTS),
        "reset": facts.failed(run, ("connect",), sent.REFUSED),
        "prohibited": facts.failed(run, ("connect",), sent.UNREACHABLE),
        "policy": facts.failed(run, ("connect",), path_filtered.POLICY),
    }
    kind = max(kinds, key=lambda kind: kinds[kind])
    where = "at the client itself, as a route that prohibits" if kind == "policy" else "on the wire between both hosts"
    assumed.append(f"the filter stands {where}; where it stood is not in the record")
    if kind == "reset":
        assumed.append("it answers by RST; ICMP port-unreachable would look the same to the client")
    return kind


def _own_rule(run: RunResult, assumed: list[str]) -> Closed:
    """What the client's own rule does, by what most of the record's connects met."""
    rejects = sent.refused(run) >= facts.connect_timeouts(run)
    assumed.append(f"the client's rule {'rejects' if rejects else 'drops'} all that goes to the server's port")
    return "own_reject" if rejects else "own_drop"


def _members(run: RunResult, assumed: list[str]) -> int:
    """How many ways there are, where the share that was lost is that of one."""
    settled = run.funnel.connected + facts.connect_timeouts(run)
    members = max(2, round(settled / max(1, facts.connect_timeouts(run))))
    assumed.append(f"one of {members} ways is dead: so large is the share that was lost")
    return members


def losses(run: RunResult) -> tuple[int, ...]:
    """How many connects lost their first SYN, how many their second, and so on."""
    known = run.connects_by_resent
    resent = [sum(count for times, count in known.items() if times >= number) for number in range(1, 128)]
    waves = list(takewhile(bool, resent)) or [0]
    # Who timed out lost the last SYN that he sent, too.
    failed = facts.connect_timeouts(run)
    for times in sorted(known, reverse=True):
        gone = min(failed, known[times])
        if times < len(waves):
            waves[times] += gone
        elif gone:
            waves.append(gone)
        failed -= gone
    waves[0] += failed
    return tuple(waves)


def _losses(run: RunResult, assumed: list[str]) -> Path:
    assumed.append("what was lost were SYNs, not the answers to them, one as likely as the other")
    waves = losses(run)
    if run.command == "hold" and facts.asked_rate(run) is None:
        begun = next((point.t_s for point in run.timeline if point.attempted >= run.funnel.attempted), None)
        if begun is not None and begun < _AT_ONCE_S:
            return Path(lost=waves)
    sent = run.funnel.attempted + run.retransmitted
    return Path(lost_share=min(1.0, sum(waves) / max(1, sent)))


def _burst(run: RunResult, assumed: list[str]) -> Path:
    return Path(gather=_together(run, assumed))


def _together(run: RunResult, assumed: list[str]) -> int:
    """How many SYNs must have met at the SYN queue: it holds so many, and so many more found it full."""
    sent = [run.server.rose(name) or 0 for name in (facts.REQ_QUEUE_COOKIES, facts.REQ_QUEUE_DROP)]
    drops, over = (run.server.rose(name) or 0 for name in (facts.LISTEN_DROPS, facts.LISTEN_OVERFLOWS))
    beyond = sent[0] + max(sent[1], drops - over)
    watch = facts.listener(run)
    if watch is None or beyond <= 0:
        return 0
    bound = _half_open(run, max(0, watch.limit))
    many = min(run.funnel.attempted, int(facts.asked_connections(run) or run.funnel.attempted), bound + beyond)
    assumed.append(f"{many:,} SYNs reach the server at one moment: so many met at its SYN queue")
    return many


def _half_open(run: RunResult, limit: int) -> int:
    """How many half-open connections the recorded listener could hold."""
    kernel = facts.release(run.server.before, run.host)
    most = facts.server_sysctl(run, "net.ipv4.tcp_max_syn_backlog")
    cookies = facts.server_sysctl(run, "net.ipv4.tcp_syncookies")
    if kernel is None or most is None or cookies is None:
        return accept_queue.room(limit)
    try:
        return syn_queue.fits(limit, most, cookies, kernel) or accept_queue.room(limit)
    except RuleInputError:
        return accept_queue.room(limit)


def _flow_table(run: RunResult, assumed: list[str]) -> Path:
    assumed.append(f"the flow table keeps {plural(run.funnel.connected, 'flow')}, and none of them ends meanwhile")
    return Path(flows=run.funnel.connected)


def _nat(run: RunResult, assumed: list[str]) -> Path:
    ports = max(1, run.funnel.connected)
    assumed.append(f"the client masquerades to {plural(ports, 'port')}, as many as connected; the rule is not recorded")
    return Path(nat_ports=ports)


def _shared_nat(run: RunResult, assumed: list[str]) -> Path:
    after = run.server.after
    used = ((after.states if after is not None else None) or {}).get("TIME-WAIT", 0)
    ports = max(1, used)
    assumed.append(f"the NAT has {plural(ports, 'port')}, as many as the server had in TIME_WAIT, and forgets in 1 s")
    return Path(nat_ports=ports, nat_forgets=True)


def _most(run: RunResult, assumed: list[str]) -> Path:
    most = max(1, run.funnel.connected)
    assumed.append(f"the wire lets {plural(most, 'connection')} live at once, as many as connected")
    return Path(most=most)


def _no_data(_run: RunResult, assumed: list[str]) -> Path:
    assumed.append("no data passes from the first connect on; when that began is not rebuilt")
    return Path(largest=_HEADERS)


def _narrow(_run: RunResult, assumed: list[str]) -> Path:
    assumed.append(f"packets above {_NARROW:,} bytes are lost both ways; the size and the way are not in the record")
    return Path(largest=_NARROW)


def _limited(run: RunResult, assumed: list[str]) -> Path:
    rate = steady_rate(run.timeline)
    if rate is None:
        return Path()
    burst = max(1, rate.burst)
    assumed.append(f"the limit is {rate.per_s:,.3g} SYNs a second after {burst:,} at once, as got through")
    return Path(syns_per_s=rate.per_s, syn_burst=burst)


def _forgetting(run: RunResult, assumed: list[str]) -> Path:
    times = idle_times.idle_times(run)
    borne_s, ended_s = times.longest_borne_s or 0.0, min((gap.gap_s for gap in times.ended), default=0.0)
    forgets_s = (borne_s + ended_s) / 2
    assumed.append(f"a flow is forgotten after {forgets_s:g} s, midway between what was borne and what was not")
    resets = times.count(lambda gap: gap.reset) > times.count(lambda gap: gap.silent)
    return Path(forgets_s=forgets_s, forgotten="reset" if resets else "drop")


def _ending(run: RunResult, assumed: list[str]) -> Path:
    seen = silence(run)
    ends_s = max(seen.heard_s or 0.0, seen.ended_s or 0.0)
    assumed.append(f"nothing passes from {ends_s:g} s on, when the peer was last heard")
    return Path(ends_s=ends_s)


def _dead_first(run: RunResult, assumed: list[str]) -> Path:
    assumed.append(f"the name has two of its {len(run.addresses)} addresses, and the first refuses")
    return Path(dead_first=True)


def _spoiling(run: RunResult, assumed: list[str]) -> Path:
    wrong = checksum_errors.arrived_wrong(run)
    spoils: End = "client" if wrong.get("server", 0) >= wrong.get("client", 0) else "server"
    assumed.append(f"the checksum of every packet that the {spoils} sends is wrong; the share is not in the record")
    return Path(spoils=spoils)


def _strays(run: RunResult, assumed: list[str]) -> Path:
    ports = max(1000, 2 * run.funnel.attempted)
    assumed.append("the client masquerades, and gets one segment from outside of the window on each connection")
    return Path(nat_ports=ports, strays=True)


_BY_CAUSE: dict[str, Callable[[RunResult, list[str]], Path]] = {
    "path_filtered": lambda run, assumed: Path(closed=_closed(run, assumed)),
    "path_flow_table_full": _flow_table,
    "path_connection_limit": _most,
    "path_syn_loss": _losses,
    "path_member_dead": lambda run, assumed: Path(members=_members(run, assumed)),
    "own_firewall": lambda run, assumed: Path(closed=_own_rule(run, assumed)),
    "neighbour_unresolved": lambda _run, _assumed: Path(gap="neighbour"),
    "reverse_path_filtered": lambda _run, _assumed: Path(gap="other_way"),
    "no_route_back": lambda _run, _assumed: Path(gap="way_back"),
    "nat_ports_exhausted": _nat,
    "time_wait_refused_by_nat": _shared_nat,
    "path_data_loss": _no_data,
    "path_rate_limited": _limited,
    "path_mtu_blackhole": _narrow,
    "path_idle_timeout": _forgetting,
    "peer_vanished": _ending,
    "first_address_dead": _dead_first,
    "checksum_errors": _spoiling,
    "conntrack_invalid_reset": _strays,
    "syn_queue_overflow": _burst,
    "cookie_reset": _burst,
}
# How many come within a round trip decides what a queue does with them. A loopback answers each before the next comes.
_OVER_WIRE = dict.fromkeys(("accept_queue_overflow", "backlog_clamped", "server_not_accepting"), _burst)
