"""`TwinResult`: how near a twin came to its record, and what each remedy did to it."""

from __future__ import annotations

from typing import Literal

from estab.records.base import Record
from estab.records.run import RunResult

TWIN_SCHEMA = "estab.twin/1"

Came = Literal["works", "works_with", "helps", "does_nothing", "looks", "not_expressed", "not_tried"]


class TwinRow(Record, frozen=True, kw_only=True):
    """One figure: as recorded (scaled alike), as the twin showed it, the difference in percent of the recorded.

    `percent` is None where one of them was not observed, or nothing was recorded to take a share of.
    """

    what: str
    recorded: float | None
    twin: float | None
    percent: float | None


class TwinRemedy(Record, frozen=True, kw_only=True):
    """A remedy of the recorded verdict. `claimed`: what estab says of it; `came`: what the twin showed.

    "works_with": what it left was another cause, and with that one's remedy, `too`, nothing is wrong any more.
    "looks": it changes nothing, so there is nothing to prove.
    `did`: what was changed in the twin, or why it can't be expressed there. `after`: what came of it, in words;
    `left`: the cause that is named afterwards.
    """

    command: str
    claimed: bool
    came: Came = "not_tried"
    did: str = ""
    too: str = ""
    after: str = ""
    left: str | None = None


class TwinResult(Record, frozen=True, kw_only=True):
    """What `estab lab twin` saw. `same_cause`: the judge names for the twin what it names for the record.

    `built`, `assumed`, `not_isolated`: in words, what was rebuilt, taken for granted, and left out. `before`: what came
    of the twin without a remedy. `run`: that run as a whole.
    """

    schema: str = TWIN_SCHEMA
    file: str
    scale: float
    recorded_cause: str | None = None
    cause: str | None = None
    same_cause: bool = False
    summary: str = ""
    built: list[str] = []
    assumed: list[str] = []
    not_isolated: list[str] = []
    rows: list[TwinRow] = []
    recorded: str = ""
    before: str = ""
    remedies: list[TwinRemedy] = []
    run: RunResult | None = None
    kernel: str = ""
    euid: int | None = None
    seconds: float = 0.0
    interrupted: bool = False
    estab_version: str | None = None
