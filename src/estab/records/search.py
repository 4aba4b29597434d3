"""What a search found by running a load again and again: the most connections, the highest rate, an idle time."""

from __future__ import annotations

from estab.records.base import Record
from estab.records.diagnosis import Diagnosis
from estab.records.run import IdleGap

IDLE_SCHEMA = "estab.idle/1"
CEILING_SCHEMA = "estab.ceiling/1"
RATE_SCHEMA = "estab.rate/1"


class CeilingStep(Record, frozen=True, kw_only=True):
    """One attempt to hold `asked` connections. `held`: connected, and known to the server where that was seen.

    `cause` is the verdict's. `moved` is what was then changed on our own side before it was tried again.
    """

    asked: int
    held: int
    failed: int
    seconds: float
    cause: str | None = None
    sources: int = 1
    processes: int = 1
    moved: str | None = None


class Ceiling(Record, frozen=True, kw_only=True):
    """The most connections that can be held at once.

    ceiling: the most that were held without a failure; None where none could be. confirmed: that many held, and one
    more did not. met: False where all that were to be tried fit. `predicted` is what `limits` gave beforehand, by its
    narrowest limit `predicted_by`; None: no limit's capacity was known. `set_by` is the cause that sets it, `diagnosis`
    the verdict on the run that met it.
    """

    schema: str = CEILING_SCHEMA
    target: str
    most: int
    predicted: int | None = None
    predicted_by: str | None = None
    steps: list[CeilingStep] = []
    ceiling: int | None = None
    met: bool = False
    confirmed: bool = False
    set_by: str | None = None
    diagnosis: Diagnosis | None = None
    note: str | None = None
    interrupted: bool = False


class RateStep(Record, frozen=True, kw_only=True):
    """One attempt at a rate, in requests a second. `why` says what kept it from being good; None: it was.

    `generator_bound`: that was our own client, late for lack of CPU.
    """

    rate_per_s: float
    reached_per_s: float | None
    latency_us: float | None
    seconds: float
    why: str | None = None
    generator_bound: bool = False


class HighestRate(Record, frozen=True, kw_only=True):
    """The highest rate of an open loop at which a percentile of the latency stays within a bound.

    `rate_per_s` is that rate, within 5%; None where none was low enough. `confirmed`: it held a second time.
    `generator_bound`: our own client was what kept a higher one from being reached.
    """

    schema: str = RATE_SCHEMA
    target: str
    percentile: float
    bound_us: float
    steps: list[RateStep] = []
    rate_per_s: float | None = None
    confirmed: bool = False
    generator_bound: bool = False
    interrupted: bool = False


class IdleStep(Record, frozen=True, kw_only=True):
    """One round: rests side by side and what became of them. `cause` is the verdict's."""

    gaps: list[IdleGap]
    seconds: float
    cause: str | None = None


class IdleTime(Record, frozen=True, kw_only=True):
    """For how long a connection may rest before somebody ends or forgets it, up to `most_s` seconds.

    `idle_s` is that time; None: all that rested for `most_s` went on, or it is not known. `how`: connections were
    `closed` by FIN or `reset` by RST while they rested, after `idle_s` at the earliest; or they were `lost`: asked in
    vain, after a rest between `borne_s`, the longest that was borne, and `lost_s`, the shortest that was not, of which
    `idle_s` is the middle. confirmed: it is known to a second, a short one to a tenth. `diagnosis` is the verdict on
    the round that showed it best, `set_by` the cause that it names.
    """

    schema: str = IDLE_SCHEMA
    target: str
    most_s: float
    steps: list[IdleStep] = []
    idle_s: float | None = None
    how: str | None = None
    borne_s: float | None = None
    lost_s: float | None = None
    confirmed: bool = False
    set_by: str | None = None
    diagnosis: Diagnosis | None = None
    note: str | None = None
    interrupted: bool = False
