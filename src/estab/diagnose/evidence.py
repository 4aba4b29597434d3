"""Shapes that suspects share: a suspect's record, a counter as evidence, failures as evidence. No verdict is made here.

Remedies are asked for only where somebody is accused: a suspect that is ruled out needs none.
"""

from __future__ import annotations

from collections.abc import Callable

from estab.diagnose import facts
from estab.records import Evidence, Remedy, RunResult, Side, Suspect, Verdict

NETSTAT = "/proc/net/netstat"
SNMP = "/proc/net/snmp"


def suspect(
    cause: str,
    side: Side,
    weighed: tuple[Verdict, str],
    evidence: list[Evidence],
    remedies: Callable[[], list[Remedy]],
) -> Suspect:
    """The suspect's record. `weighed`: verdict and summary; `remedies` is called where the verdict accuses."""
    verdict, summary = weighed
    found = remedies() if verdict in ("confirmed", "possible") else []
    return Suspect(cause=cause, side=side, verdict=verdict, summary=summary, evidence=evidence, remedies=found)


def counter(name: str, delta: int | None, means: str = "", side: str = "server") -> Evidence:
    """How much a counter rose within the run, against 0; `means` says what the kernel counts by it."""
    short = name.partition(".")[2]
    if delta is None:
        text = f"{short} was not observed at the {side}"
    else:
        text = f"{short} rose by {delta:,} within the run" + (f": {means}" if means else "")
    source = NETSTAT if name.startswith("TcpExt.") else SNMP
    return Evidence(source=source, field=name, value=delta, threshold=0, text=text)


def server_counter(run: RunResult, name: str, means: str = "") -> Evidence:
    """`counter` of the server's network namespace."""
    return counter(name, run.server.rose(name), means)


def client_counter(run: RunResult, name: str, means: str = "") -> Evidence:
    """`counter` of the client's network namespace."""
    return counter(name, run.client.rose(name), means, side="client")


def count(source: str, field: str, value: float | None, text: str, threshold: float | None = 0) -> Evidence:
    """One number against its threshold."""
    return Evidence(source=source, field=field, value=value, threshold=threshold, text=text)


def unseen(run: RunResult) -> Evidence:
    """That the listener was not observed, and why."""
    return Evidence(source="sock_diag", field="listener", text=f"not observed: {facts.why_unseen(run)}")


def connect_timeouts(run: RunResult) -> Evidence:
    """Connects that timed out, of how many."""
    lost = facts.connect_timeouts(run)
    text = f"{lost:,} of {run.funnel.attempted:,} connects timed out"
    return count("failures", "connect ETIMEDOUT, own_timeout", lost, text)


def sysctl(name: str, value: int | None, says: str = "") -> Evidence:
    """A sysctl as it stood before the run."""
    stands = "was not observed" if value is None else f"is {value:,}"
    return Evidence(source="/proc/sys", field=name, value=value, text=f"{name} {stands}{says}")
