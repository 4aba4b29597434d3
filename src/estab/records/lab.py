"""`LabResult`: what the lab predicted, measured and judged, scenario by scenario."""

from __future__ import annotations

from typing import Literal

from estab.records.base import Record

LAB_SCHEMA = "estab.lab/1"

Status = Literal["as_predicted", "differs", "cannot_run", "failed"]


class LabRow(Record, frozen=True, kw_only=True):
    """One figure. `predicted` as the rules say it before anything ran, `measured` as it came out, both in words."""

    what: str
    predicted: str
    measured: str
    agrees: bool


class LabRemedy(Record, frozen=True, kw_only=True):
    """One remedy that was run. `claimed` is what estab says of it, `works` what came of it, None where not tried."""

    command: str
    claimed: bool
    works: bool | None
    text: str = ""


class LabScenario(Record, frozen=True, kw_only=True):
    """One scenario. `expected` and `cause` are ids of causes, None: nothing may be accused.

    `accused_in_control` are causes that were confirmed in the healthy run beside it: there must be none. `why` says
    why it cannot run here, or how it failed. `captures` are the pcapng files that were written.
    """

    name: str
    symptom: str
    side: str
    status: Status
    expected: str | None = None
    cause: str | None = None
    summary: str = ""
    rows: list[LabRow] = []
    remedies: list[LabRemedy] = []
    control_ran: bool = False
    accused_in_control: list[str] = []
    notes: list[str] = []
    settings: dict[str, int | float | str | bool | None] = {}
    captures: list[str] = []
    seconds: float = 0.0
    why: str | None = None


class LabWire(Record, frozen=True, kw_only=True):
    """What the wire itself costs here: the time that it adds to a packet, and how many packets it carries a second."""

    added_us: float
    added_p99_us: float
    packets_per_s: float


class LabResult(Record, frozen=True, kw_only=True):
    """What `estab lab run` saw. `euid` 0: run as root; else in a user namespace of its own."""

    schema: str = LAB_SCHEMA
    scenarios: list[LabScenario] = []
    wire: LabWire | None = None
    kernel: str = ""
    euid: int | None = None
    seconds: float = 0.0
    interrupted: bool = False
    estab_version: str | None = None
