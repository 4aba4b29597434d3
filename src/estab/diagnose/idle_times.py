"""What a load with gaps tells: how long a connection may rest, and what came of those that rested longer. No verdict.

Each connection asks, rests for its gap and asks again until the load ends. Those that rest least begin first and go on
to the end: where they outlived the others it was not the moment that ended those, nor their age, but their rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from estab.diagnose.evidence import measured, unknown
from estab.records import Evidence, IdleGap, RunResult
from estab.words import plural


@dataclass(frozen=True)
class IdleTimes:
    """`borne`: gaps after which every connection was answered each time. `ended`: those after which none was, ever.

    `mixed`: neither. What never began to rest is in none of them.
    """

    borne: list[IdleGap]
    ended: list[IdleGap]
    mixed: list[IdleGap]

    @property
    def longest_borne_s(self) -> float | None:
        """The longest rest that every connection survived; None: there is none."""
        return max((gap.gap_s for gap in self.borne), default=None)

    @property
    def parted(self) -> bool:
        """Whether all that rested longer ended, and none that rested less: one time lies between."""
        longest = self.longest_borne_s
        shortest = min((gap.gap_s for gap in self.ended), default=None)
        if longest is None or shortest is None or longest >= shortest:
            return False
        return all(longest < gap.gap_s < shortest for gap in self.mixed)

    @property
    def outlived(self) -> bool:
        """Whether connections that rested less were answered after the last of the others had ended."""
        last_s = max((gap.last_s or 0.0 for gap in (*self.ended, *self.mixed)), default=0.0)
        return any(gap.last_answer_s is not None and gap.last_answer_s > last_s for gap in self.borne)

    def count(self, of: Callable[[IdleGap], int]) -> int:
        """The sum over all gaps in which a connection ended."""
        return sum(of(gap) for gap in (*self.ended, *self.mixed))

    @property
    def connections(self) -> int:
        """How many ended."""
        return self.count(lambda gap: gap.ended)

    @property
    def rested_s(self) -> tuple[float, float] | None:
        """For how long those that ended had rested, at least and at most. None: none ended."""
        return _bounds((gap.least_s, gap.most_s) for gap in (*self.ended, *self.mixed))

    @property
    def moments_s(self) -> tuple[float, float] | None:
        """When the rest of the first and the last of them was over, in seconds since the start. None: none ended."""
        return _bounds((gap.first_s, gap.last_s) for gap in (*self.ended, *self.mixed))


def _bounds(spans: Iterable[tuple[float | None, float | None]]) -> tuple[float, float] | None:
    known = [(least, most) for least, most in spans if least is not None and most is not None]
    return (min(least for least, _ in known), max(most for _, most in known)) if known else None


def idle_times(run: RunResult) -> IdleTimes:
    """The gaps of `run`, by what came of them."""
    borne, ended, mixed = [], [], []
    for gap in run.idle_gaps:
        if gap.answered and not gap.ended:
            borne.append(gap)
        elif gap.ended and not gap.answered and gap.ended == gap.rested:
            ended.append(gap)
        elif gap.ended:
            mixed.append(gap)
    return IdleTimes(borne, ended, mixed)


def evidence(times: IdleTimes) -> list[Evidence]:
    """What was borne, and how the others ended."""
    facts = []
    if (longest_s := times.longest_borne_s) is not None:
        text = f"connections that rested for {longest_s:g} s were answered"
        if times.connections:
            text += " to the end" if times.outlived else ", but none after the last of the others had ended"
        facts.append(measured("idle_gaps", "answered", longest_s, text, None))
    span = times.rested_s
    if span is not None:
        unasked = times.count(lambda gap: gap.unasked)
        how = f"{unasked:,} of them while they rested, and the others when they were asked again"
        ended = plural(times.connections, "connection")
        text = f"{ended} ended after a rest of {span[0]:.1f} to {span[1]:.1f} s, {how}"
        facts.append(measured("idle_gaps", "least_s, most_s", round(span[0], 3), text, None))
    silent = times.count(lambda gap: gap.silent)
    if silent:
        lost = times.count(lambda gap: gap.unacknowledged)
        text = f"of {plural(silent, 'request')} that got no answer the other end's kernel did not acknowledge {lost:,}"
        facts.append(measured("idle_gaps", "unacknowledged", lost, text, silent))
    return facts or [unknown("idle_gaps", "rested", "no connection rested and was asked again")]
