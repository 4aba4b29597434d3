"""`Diagnosis`: what the judge says of a run: one cause or none, and a verdict with its evidence for every suspect."""

from __future__ import annotations

from typing import Literal

from estab.records.base import Record

DIAGNOSIS_SCHEMA = "estab.diagnosis/1"

Verdict = Literal["confirmed", "possible", "ruled_out", "not_observed"]
Side = Literal["client", "path", "server"]


class Evidence(Record, frozen=True, kw_only=True):
    """One fact. `source` is where it was read (`sock_diag`, `/proc/net/netstat`, `failures`), `field` its name there.

    `value` beside `threshold` is the test that was made; `text` says it in words a reader understands alone.
    """

    source: str
    field: str
    value: int | float | str | None = None
    threshold: int | float | str | None = None
    text: str = ""


class Remedy(Record, frozen=True, kw_only=True):
    """Something people do about it. `works` False marks what does nothing, with `why`. `command` can be pasted."""

    command: str
    works: bool
    why: str


class Suspect(Record, frozen=True, kw_only=True):
    """One suspect's verdict. `summary` is the verdict in one sentence."""

    cause: str
    side: Side
    verdict: Verdict
    summary: str
    evidence: list[Evidence] = []
    remedies: list[Remedy] = []


class Diagnosis(Record, frozen=True, kw_only=True):
    """The judge's word. `cause` is the one confirmed suspect that explains the failures, or None.

    Counters count packets, not clients: every verdict rests on deltas within the run.
    """

    schema: str = DIAGNOSIS_SCHEMA
    cause: str | None = None
    side: Side | None = None
    summary: str
    suspects: list[Suspect] = []
