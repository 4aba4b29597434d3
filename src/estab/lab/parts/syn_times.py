"""When a SYN that nobody answers is sent again and given up: the rule's intervals, and what wire and run saw."""

from __future__ import annotations

from collections import Counter

from estab.kernel.rules import syn_retries
from estab.kernel.rules.interval import Interval
from estab.lab.parts.running_kernel import HZ, KERNEL
from estab.lab.parts.scenario import Figure
from estab.lab.parts.settings import Value
from estab.lab.wire.spec import PassedSyn
from estab.records import RunResult

LOAD_S = 0.25  # what a busy machine may add to a time that the kernel's timer wheel already rounded
EARLY_S = 0.01  # the first SYN is timed at the wire, a moment after it was sent


def predicted_times(retries: int, linear: int) -> dict[str, Figure]:
    """Each retransmission and the ETIMEDOUT, in seconds after the first SYN (docs/kernel.md rule 17)."""
    line = syn_retries.timeline(retries, linear, hz=HZ, kernel=KERNEL)
    times = dict(enumerate(map(_loaded, line.retransmits_between_s), 2))
    figures: dict[str, Figure] = {_name(number): between for number, between in times.items()}
    return figures | {"ETIMEDOUT after (s)": _loaded(line.gives_up_between_s)}


def measured_times(syns: list[PassedSyn], run: RunResult) -> dict[str, Value]:
    """The same of the connection that sent the most SYNs, as they came to the wire, and of the first ETIMEDOUT."""
    port = Counter(syn.source_port for syn in syns).most_common(1)[0][0]
    times = [syn.at_s for syn in syns if syn.source_port == port]
    figures: dict[str, Value] = {_name(number): at - times[0] for number, at in enumerate(times[1:], 2)}
    gave_up = [failure.first_s for failure in run.failures if failure.errno == "ETIMEDOUT"]
    return figures | {"ETIMEDOUT after (s)": gave_up[0] if gave_up else None}


def _name(number: int) -> str:
    return f"SYN {number} after (s)"


def _loaded(between: Interval) -> Interval:
    return Interval(low=between.low - EARLY_S, high=(between.high or between.low) + LOAD_S)
