"""`LabResult`: what the lab predicted, measured and judged, scenario by scenario."""

from __future__ import annotations

from typing import Literal

from estab.records.base import Record

LAB_SCHEMA = "estab.lab/1"
LAB_LIST_SCHEMA = "estab.lab-list/1"

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


class LabCeiling(Record, frozen=True, kw_only=True):
    """One point of a sweep, in connections: the size that was set, the ceiling that it predicts, the one found."""

    size: int
    predicted: int
    found: int | None


class LabScenario(Record, frozen=True, kw_only=True):
    """One scenario. `expected` and `cause` are ids of causes, None: nothing may be accused.

    `accused_in_control` are causes that were confirmed in the healthy run beside it: there must be none. `why` says
    why it cannot run here, or how it failed. `captures` are the pcapng files that were written. `ceilings` are there
    where nothing but a sweep was asked for. `only_possible` says why this kernel shows too little to confirm the cause,
    where the judge rightly called it possible.
    """

    name: str
    symptom: str
    side: str
    status: Status
    expected: str | None = None
    cause: str | None = None
    only_possible: str | None = None
    summary: str = ""
    rows: list[LabRow] = []
    ceilings: list[LabCeiling] = []
    remedies: list[LabRemedy] = []
    control_ran: bool = False
    accused_in_control: list[str] = []
    notes: list[str] = []
    settings: dict[str, int | float | str | bool | None] = {}
    captures: list[str] = []
    seconds: float = 0.0
    why: str | None = None


class LabHost(Record, frozen=True, kw_only=True):
    """A host of the stage while somebody looks around: a process in it (its number outside), and how to enter it.

    `enter` is a command line that a command follows, as `nsenter -t 4711 -n`. `address` is None for the wire.
    """

    name: str
    pid: int
    enter: list[str]
    address: str | None = None


class LabInside(Record, frozen=True, kw_only=True):
    """What stands while somebody looks around. `loopback`: one host, with both ends on its loopback."""

    scenario: str
    hosts: list[LabHost]
    port: int
    loopback: bool = False


class LabWire(Record, frozen=True, kw_only=True):
    """What the wire itself costs here: the time that it adds to a packet, and how many packets it carries a second."""

    added_us: float
    added_p99_us: float
    packets_per_s: float


class LabSetting(Record, frozen=True, kw_only=True):
    """One setting, as `--set KEY=VALUE` takes it. `field` is its name in `settings` and in JSON, in seconds for times.

    `kind` is int, float, seconds, bool or str. `least` and `most` are included, None: unbounded. `choices`: one of
    them. `takes` says that in words.
    """

    key: str
    field: str
    kind: str
    default: int | float | str | bool | None
    takes: str
    text: str
    least: float | None = None
    most: float | None = None
    choices: list[str] = []


class LabEntry(Record, frozen=True, kw_only=True):
    """One scenario as it is listed. `cause`: which must be named, None where nothing may be accused. `why_not`: why it
    cannot run on this machine, None where it can. `seconds`: about how long it takes on two cores."""

    name: str
    symptom: str
    cause: str | None
    side: str
    seconds: float
    why_not: str | None = None
    settings: list[LabSetting] = []


class LabList(Record, frozen=True, kw_only=True):
    """The scenarios that there are."""

    schema: str = LAB_LIST_SCHEMA
    scenarios: list[LabEntry] = []
    estab_version: str | None = None


class LabResult(Record, frozen=True, kw_only=True):
    """What `estab lab run` saw. `euid` 0: run as root; else in a user namespace of its own.

    `contained`: all processes were in one PID namespace, which the kernel ends as a whole. False where this machine
    allows none; None where it was not told.
    """

    schema: str = LAB_SCHEMA
    scenarios: list[LabScenario] = []
    wire: LabWire | None = None
    kernel: str = ""
    euid: int | None = None
    seconds: float = 0.0
    interrupted: bool = False
    contained: bool | None = None
    estab_version: str | None = None
