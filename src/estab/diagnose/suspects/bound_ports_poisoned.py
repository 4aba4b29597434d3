"""Ports that bind() owns are lost for every destination: EADDRNOTAVAIL although few connections are open.

Source: `__inet_hash_connect` (net/ipv4/inet_hashtables.c) passes over a port whose bind bucket belongs to a plain
bind() (fastreuse >= 0), whatever the destination; one that connect() chose is shared between destinations. With
IP_BIND_ADDRESS_NO_PORT (4.2) a bound source address owns no port (docs/kernel.md rule 21).
"""

from __future__ import annotations

from estab.diagnose import facts, local_ports
from estab.diagnose.advice import changes, ports
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.evidence import unknown
from estab.diagnose.on_snapshots import Snapshots
from estab.records import PortUse, Remedy, RunResult, Verdict
from estab.words import plural

MOST = 0.5  # of the range: from here bind() is what took it
SOME = 0.1  # of the range, and enough that what was asked for would have found room without it


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where connects found no port, the rest of the range was full, and bind() holds what is missing."""
    count = failures(run)
    evidence = [local_ports.errno_evidence(count), *local_ports.use_evidence(run)]
    verdict, summary = _weigh(run, count)
    return Judgement(verdict, summary, evidence)


def failures(run: RunResult) -> int:
    """Connects that found no local port."""
    return local_ports.failed_for_ports(run)


def _weigh(run: RunResult, count: int) -> tuple[Verdict, str]:
    use = run.client.port_use
    if not count:
        return "ruled_out", "Every connect found a local port."
    fill = local_ports.fill(use) if use else None
    if use is None or use.capacity is None or fill is None:
        return "not_observed", "How much of the range bind() owns was not observed."
    if use.bound is None:
        return _weigh_unseen(count, fill)
    if not poisoned(use, facts.asked_connections(run)):
        return "ruled_out", f"bind() owns {use.bound:,} of {plural(use.capacity, 'port')}: not what is missing."
    if fill < local_ports.FULL and use.bound < local_ports.FULL * use.capacity:
        text = f"bind() owns {use.bound:,} of {plural(use.capacity, 'port')}, but the rest was not seen in use."
        return "possible", text
    text = (
        f"bind() owns {use.bound:,} of the {plural(use.capacity, 'port')} "
        f"of the range: {plural(count, 'connect')} found none."
    )
    return "confirmed", text


def _weigh_unseen(count: int, fill: float) -> tuple[Verdict, str]:
    if fill >= local_ports.FULL:
        return "ruled_out", "Connections alone fill the range."
    text = f"{plural(count, 'connect')} found no local port though few are in use; what bind() owns was not observed."
    return "possible", text


def poisoned(use: PortUse, asked: int | None) -> bool:
    """Does bind() own most of the range, or so much that what was asked for finds no room for that alone?"""
    bound, size = use.bound or 0, use.capacity or 0
    if bound >= MOST * size:
        return bound > 0
    sources = max(1, use.sources)
    missing = asked is not None and (size - bound) * sources < asked <= size * sources
    # A listener of one's own stands in the range now and then: one port is no poison.
    return missing and bound >= max(2, SOME * size)


def remedies(run: RunResult) -> list[Remedy]:
    """How to bind without owning a port, and who owns them."""
    return [
        Remedy(
            command="setsockopt(IP_BIND_ADDRESS_NO_PORT) before bind() to a source address",
            works=True,
            changes=[changes.BIND_NO_PORT],
            why="connect() then chooses the port, per destination. nginx proxy_bind and HAProxy source do so.",
        ),
        Remedy(
            command="ss --bound-inactive -tanp   # Linux 6.8, iproute2 6.8",
            works=True,
            changes=[changes.LOOK],
            why="Shows the sockets that did bind() and nothing else, and whose they are.",
        ),
        Remedy(
            command="do not bind() a client's socket unless its source address matters",
            works=True,
            changes=[changes.BIND_NO_PORT],
            why="connect() alone picks a port that other destinations may use as well.",
        ),
        *ports.more_ports(run),
        Remedy(
            command="sysctl -w net.ipv4.tcp_tw_reuse=1",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_tw_reuse", 1, "client")],
            why="The ports are owned by bind(), not by TIME_WAIT.",
        ),
        *ports.does_nothing(),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """Most of the range owned by bind() now; confirmed where the rest is full too."""
    use = snapshots.after.port_use
    fill = local_ports.fill(use) if use else None
    if use is None or use.bound is None or fill is None:
        return Judgement(
            "not_observed", local_ports.UNSEEN, [unknown("sock_diag", "-", "ports owned by bind() were not read")]
        )
    evidence = local_ports.use_evidence(snapshots.run(None))
    if not poisoned(use, None):
        return Judgement("ruled_out", f"bind() owns {use.bound:,} of {plural(use.capacity or 0, 'port')}.", evidence)
    text = f"bind() owns {use.bound:,} of the {plural(use.capacity or 0, 'port')} of the range"
    if fill >= 1 or local_ports.capacity(use) == 0:
        return Judgement("confirmed", f"{text}, and the rest is full.", evidence)
    return Judgement("possible", f"{text}; the rest has room still.", evidence)


CAUSE = Cause(
    id="bound_ports_poisoned",
    side="client",
    stage=ConnectionStage.LOCAL_PORT,
    kind=CauseKind.LOCAL_PORTS,
    specificity=2,
    explains={CauseKind.LOCAL_PORTS: "bind() holds what the range lacks"},
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("sockets of another program that own as many ports by bind()"),
)
