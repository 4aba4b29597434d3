"""Counters that moved between two snapshots. One snapshot has none: what was counted since boot is no evidence."""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.evidence import counter
from estab.diagnose.now.seen import Found, Queue, Seen, as_judged, clear, unseen
from estab.diagnose.suspects import abort_on_overflow, cookie_reset, defer_accept_drops, syn_queue_overflow
from estab.records import Evidence

_ONE = "Counters since boot are no evidence: it takes a second snapshot."


def _no_deltas(seen: Seen) -> Found | None:
    if seen.deltas is not None:
        return None
    text = _ONE if seen.before is None else "The counters were not observed at both moments."
    return unseen(text, "/proc/net/netstat", text)


def syn_queue(seen: Seen) -> Found:
    """SYNs dropped for a full SYN queue in between: the suspect's own test."""
    if (missing := _no_deltas(seen)) is not None:
        return missing
    if not seen.queues:
        return unseen("No listener was observed.", "sock_diag", "listeners were not read")
    return as_judged(syn_queue_overflow.judge(seen.run(seen.queues[0])))


def defer(seen: Seen) -> Found:
    """ACKs dropped for TCP_DEFER_ACCEPT. Whether a client suffers by it only a run can tell."""
    if (missing := _no_deltas(seen)) is not None:
        return missing
    dropped = seen.rose(facts.DEFER_DROPS)
    evidence = [counter(facts.DEFER_DROPS, dropped, "ACKs without data that were dropped by design")]
    if dropped is None:
        return unseen("TCPDeferAcceptDrop was not observed.", "/proc/net/netstat", "not read", evidence)
    if not dropped:
        return clear("No ACK was dropped for TCP_DEFER_ACCEPT.", evidence)
    text = f"{dropped:,} bare ACKs were dropped for TCP_DEFER_ACCEPT; whether clients wait for it only a run shows."
    return Found("possible", text, evidence, lambda: defer_accept_drops.remedies(seen.run(None)))


def cookies(seen: Seen) -> Found:
    """Cookies that failed while a queue overflowed: somebody was reset, who and how many only a run shows."""
    if (missing := _no_deltas(seen)) is not None:
        return missing
    failed = seen.rose(facts.COOKIES_FAILED)
    over = seen.rose(facts.LISTEN_OVERFLOWS)
    evidence = [
        counter(facts.COOKIES_FAILED, failed, "segments whose cookie was not valid, each answered by RST"),
        counter(facts.LISTEN_OVERFLOWS, over, "packets that a full accept queue turned away"),
    ]
    if failed is None or over is None:
        return unseen("The cookies' counters were not observed.", "/proc/net/netstat", "not read", evidence)
    if not failed or not over:
        why = "No cookie failed." if not failed else "No accept queue overflowed: what failed was no cookie of ours."
        return clear(why, evidence)
    text = f"{failed:,} segments with a failed cookie were reset while the accept queue overflowed."
    return Found("possible", text, evidence, lambda: cookie_reset.remedies(seen.run(_first(seen))))


def aborted(seen: Seen) -> Found:
    """tcp_abort_on_overflow set, a queue that overflowed, and half-open connections that were reset."""
    found = (seen.after.sysctls or {}).get(abort_on_overflow.SYSCTL)
    value = found[0] if isinstance(found, list) and found else None
    is_set = Evidence(source="/proc/sys", field=abort_on_overflow.SYSCTL, value=value, text=f"it is {value}")
    if value is None:
        return unseen("tcp_abort_on_overflow was not observed.", "/proc/sys", "not read")
    if not value:
        return clear("tcp_abort_on_overflow is 0.", [is_set])
    if (missing := _no_deltas(seen)) is not None:
        return missing
    reset, over = (seen.rose(name) for name in (facts.EMBRYONIC_RSTS, facts.LISTEN_OVERFLOWS))
    evidence = [is_set, counter(facts.EMBRYONIC_RSTS, reset), counter(facts.LISTEN_OVERFLOWS, over)]
    if reset is None or over is None:
        return unseen("Its counters were not observed.", "/proc/net/netstat", "not read", evidence)
    if not reset or not over:
        return clear("It is set, but reset nothing.", evidence)
    text = f"tcp_abort_on_overflow reset up to {reset:,} connections that found the accept queue full."
    return Found("confirmed", text, evidence, lambda: abort_on_overflow.remedies(seen.run(_first(seen))))


def _first(seen: Seen) -> Queue | None:
    return seen.queues[0] if seen.queues else None
