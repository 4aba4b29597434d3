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


# What a remedy changes. `look` changes nothing, `program` is a change of a program that only its author can make,
# `elsewhere` one beyond the two network namespaces (another machine, the whole host, a cloud's console).
ChangeKind = Literal[
    "sysctl", "late_sysctl", "backlog", "queue", "accept", "share_cpu", "close", "listen", "defer_accept",
    "timeout", "nofile", "workers", "sources", "bind_no_port", "first_close", "pool", "fewer", "speak_first",
    "allow", "flow_table", "mend", "nat_ports", "mtu", "connection_limit", "tasks", "end_member", "read_all",
    "idle_longer", "idle_shorter", "drop_invalid", "look", "program", "elsewhere",
]  # fmt: skip


class Change(Record, frozen=True, kw_only=True):
    """One change that a remedy makes, for a program to apply. `kind` is a `ChangeKind`; a later version may know more.

    `side`: whose it is, client, path or server. `name`: of a sysctl, or in words for what nobody can apply. `value`:
    what is set: a sysctl's value (`late_sysctl`: written while the server goes on running), a backlog (`queue`: with
    somaxconn not below it; `backlog`: with somaxconn as it is), seconds (`timeout`, `defer_accept`), descriptors of a
    process (`nofile`), processes and threads that the server may have (`tasks`), a rest of clients' connections in
    seconds (`idle_shorter`), entries (`flow_table`), ports of NAT (`nat_ports`), bytes of a packet (`mtu`), connections
    that the program keeps at once (`connection_limit`) or that clients have (`fewer`), who closes first.
    None: as many as it takes, or no bound at all.
    """

    kind: str
    side: str = "server"
    name: str | None = None
    value: int | float | str | None = None


class Remedy(Record, frozen=True, kw_only=True):
    """Something people do about it. `works` False marks what does nothing, with `why`. `command` can be pasted.

    `changes` says the same for a program; none: a version before it was said, or nothing that can be said so.
    """

    command: str
    works: bool
    why: str
    changes: list[Change] = []


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

    @property
    def accused(self) -> Suspect | None:
        """The suspect that `cause` names, with its evidence and remedies; None where nobody is accused."""
        return next((suspect for suspect in self.suspects if suspect.cause == self.cause), None)
