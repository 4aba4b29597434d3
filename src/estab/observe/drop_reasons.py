"""Drops and resets as tracefs shows them, by the kernel's own names, of a process of its own (`tracer`).

What they cannot see (docs/kernel.md rule 28): a SYN that is dropped on a full accept queue or SYN queue makes no event
at all. Counters and queue depth are the only evidence there. The events carry no network namespace: they are those of
all the host's. kfree_skb carries no transport protocol: what the IP layer or a firewall dropped may be of any.
"""

from __future__ import annotations

import select
import subprocess
import sys

import msgspec

from estab.observe.gaps import Gaps
from estab.observe.tracer import Traced
from estab.records import DropReasons
from estab.words import plural

BLIND = (
    "a SYN dropped on a full accept queue or SYN queue makes no event: its absence here means nothing; "
    "see TcpExt.ListenOverflows, TcpExt.ListenDrops and the listeners' depth"
)
_FIELD = "drop_reasons"
_GRACE_S = 10.0


def read(seconds: float, gaps: Gaps, stop: int | None = None) -> DropReasons | None:
    """What was dropped and reset on this host within the next `seconds`; None, and why in `gaps`, where not permitted.

    Ends early where the descriptor `stop` becomes readable. What it cannot see is noted in `gaps` as well.
    """
    outcome = _run(str(seconds), seconds, stop)
    if outcome is None:
        _run("sweep", 0, None)
        gaps.note(_FIELD, "the tracing process was killed; what it had made was removed")
        return None
    if outcome.reasons is None:
        gaps.note(_FIELD, outcome.why or "the tracing process said nothing")
        return None
    gaps.note(f"{_FIELD}.syn_drops", BLIND)
    if outcome.lost:
        gaps.note(_FIELD, f"{plural(outcome.lost, 'event')} did not fit the trace buffer and are in no count")
    return outcome.reasons


def _run(argument: str, seconds: float, stop: int | None) -> Traced | None:
    """What the tracing process printed; None where it died without a word."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "estab.observe.tracer", argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        waiting = [process.stdout.fileno(), *([] if stop is None else [stop])]
        ready = select.select(waiting, [], [], seconds + _GRACE_S)[0]
        if process.stdout.fileno() not in ready and process.stdin is not None:
            process.stdin.close()  # it ends at once and says what it has
            process.stdin = None
        try:
            output = process.communicate(timeout=_GRACE_S)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return None
    try:
        return msgspec.json.decode(output, type=Traced)
    except msgspec.MsgspecError:
        return None
