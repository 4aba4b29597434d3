"""What the judge knows of a cause: one declaration, `CAUSE` of each file in `diagnose/suspects`.

A suspect judges itself alone. What it declares of others is data: `Cause.explains`, and its place among its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

from estab.diagnose.on_snapshots import Snapshots
from estab.records import Evidence, Remedy, RunResult, Side, Suspect, Verdict

ACCUSED: tuple[Verdict, ...] = ("confirmed", "possible")


class ConnectionStage(IntEnum):
    """Where on its way a connection meets a cause. Suspects are asked in this order, and it decides at equal cost."""

    SOCKET = auto()  # the client asks for a socket
    LOCAL_PORT = auto()  # connect() looks for a local port
    PATH = auto()  # the SYN and its answer, and then data, from host to host
    LISTENER = auto()  # a socket listens where the SYN arrives, or none does
    ACCEPT = auto()  # the program takes connections out of the queue, or it does not
    HANDSHAKE = auto()  # half-open connections at the server
    ACCEPT_QUEUE = auto()  # finished handshakes that wait for accept()
    ANSWER = auto()  # the program has accepted, reads and answers
    MEASUREMENT = auto()  # the load generator itself


class CauseKind(Enum):
    """What several causes are kinds of. Of two of one kind the more specific explains the plainer."""

    LOCAL_PORTS = "no local port is left"
    LOST_SYN = "SYNs are lost on their way"
    LOST_DATA = "data is lost on its way"
    NO_ACCEPT = "the program does not empty its accept queue"
    ACCEPT_QUEUE = "the accept queue overflows"


class Probe(Enum):
    """A few connects or requests of their own that tell causes apart; the values are the record's names of them.

    `HELD`: the other port too, asked while the load's connections are open.
    """

    OTHER_PORT = "other_port"
    HELD = "held"
    SOURCE_PORTS = "source_ports"
    SIZES = "sizes"


@dataclass(frozen=True)
class Judgement:
    """What a suspect says of itself. `side` None: the one that its cause declares.

    `about`: the run that remedies are computed from, where that is not the one that was judged (see `Snapshots.run`).
    """

    verdict: Verdict
    summary: str
    evidence: list[Evidence]
    side: Side | None = None
    about: RunResult | None = None


_GRAVEST_FIRST: tuple[Verdict, ...] = ("confirmed", "possible", "not_observed", "ruled_out")


def gravest(judgements: Iterable[Judgement]) -> Judgement:
    """Of judgements on several places the one that says most against the suspect; the first of equal ones."""
    return min(judgements, key=lambda judgement: _GRAVEST_FIRST.index(judgement.verdict))


@dataclass(frozen=True)
class NeedsRun:
    """The `judge_snapshots` of a suspect that no snapshot can judge, and why."""

    why: str

    def __call__(self, snapshots: Snapshots) -> Judgement:
        """Not observed, with the reason."""
        summary = f"{self.why}: run estab hold, bench or churn."
        return Judgement("not_observed", summary, [Evidence(source="a run", field="-", text=self.why)])


@dataclass(frozen=True)
class Rebuilt:
    """A twin in network namespaces can rebuild the cause, `by` these means."""

    by: str


@dataclass(frozen=True)
class NotRebuilt:
    """No network namespace can hold the cause apart from the machine, and `why`."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One cause. All functions are pure and never raise.

    `id`: the file's stem, the page, the scenario, and what stands in JSON. `side`: whose limit it is.
    `kind`, `specificity`: what it is a kind of, and how far it is more than that: 0 is the plain limit itself.
    `explains`: why an id or a whole kind, where both confirm, is this one's consequence. Of its own kind it explains
    only what is less specific.
    `judge_run`: the verdict on a run, knowing of no other suspect; `judge_snapshots`: on a host without one.
    `judge_program`: on a run of a program that is no load of ours, whose reads and writes nobody sees; None: up to the
    handshake `judge_run` (`judges_program` says which), else `judge_snapshots`.
    `over_unix`: whether connections over a UNIX socket can meet it, so that `judge_run` judges them too; else a run
    over one rules it out.
    `told_by`: probes that would tell whether it is this one, where it is only possible.
    `failures`: how many of a run's client failures it can answer for. `remedies`: what works, then what does nothing.
    """

    id: str
    side: Side
    stage: ConnectionStage
    judge_run: Callable[[RunResult], Judgement]
    judge_snapshots: Callable[[Snapshots], Judgement]
    failures: Callable[[RunResult], int]
    remedies: Callable[[RunResult], list[Remedy]]
    twin: Rebuilt | NotRebuilt
    kind: CauseKind | None = None
    specificity: int = 0
    judge_program: Callable[[RunResult], Judgement] | None = None
    over_unix: bool = False
    told_by: frozenset[Probe] = frozenset()
    explains: Mapping[str | CauseKind, str] = field(default_factory=dict)

    def suspect(self, judgement: Judgement, run: RunResult) -> Suspect:
        """The suspect's record: what it says of itself, and where that accuses its remedies, computed from `run`."""
        return Suspect(
            cause=self.id,
            side=judgement.side or self.side,
            verdict=judgement.verdict,
            summary=judgement.summary,
            evidence=judgement.evidence,
            remedies=self.remedies(judgement.about or run) if judgement.verdict in ACCUSED else [],
        )

    def why_it_explains(self, other: Cause) -> str | None:
        """Why `other` is this one's consequence where both confirm; None: it is not."""
        if other.id in self.explains:
            return self.explains[other.id]
        if other.kind is None or (other.kind is self.kind and other.specificity >= self.specificity):
            return None
        return self.explains.get(other.kind)
