"""What stood on the path of a recorded run, read from what it did to SYNs. Pure."""

from __future__ import annotations

from itertools import takewhile

from estab.diagnose import facts, sent
from estab.diagnose.suspects import path_filtered
from estab.kernel.rules import accept_queue, syn_queue
from estab.kernel.rules.inputs import RuleInputError
from estab.lab.stage.setup import Closed, Path
from estab.records import RunResult
from estab.words import plural

_AT_ONCE_S = 1.0  # within it no SYN is sent again: those of the connects come first, then those sent again
_SYN_QUEUE = ("syn_queue_overflow", "cookie_reset")


def path_of(run: RunResult, assumed: list[str]) -> Path:
    """The path of the twin; what had to be taken for granted of it is added to `assumed`."""
    cause = run.cause
    if cause == "path_filtered":
        return Path(closed=_closed(run, assumed))
    if cause == "path_flow_table_full":
        assumed.append(f"the flow table keeps {plural(run.funnel.connected, 'flow')}, and none of them ends meanwhile")
        return Path(flows=run.funnel.connected)
    if cause == "path_syn_loss":
        assumed.append("what was lost were SYNs, not the answers to them, one as likely as the other")
        return _losses(run)
    return Path(gather=_together(run, assumed)) if cause in _SYN_QUEUE else Path()


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


def _losses(run: RunResult) -> Path:
    waves = losses(run)
    if run.command == "hold" and facts.asked_rate(run) is None:
        begun = next((point.t_s for point in run.timeline if point.attempted >= run.funnel.attempted), None)
        if begun is not None and begun < _AT_ONCE_S:
            return Path(lost=waves)
    sent = run.funnel.attempted + run.retransmitted
    return Path(lost_share=min(1.0, sum(waves) / max(1, sent)))


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
