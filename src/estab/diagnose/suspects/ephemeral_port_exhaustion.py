"""Live connections hold every local port of the range towards the target.

Source: `__inet_hash_connect` (net/ipv4/inet_hashtables.c) tries ports of one parity, then of the other, then gives
EADDRNOTAVAIL. Room for each (source address, destination address, destination port) = range - reserved - ports that
bind() owns. Where TIME_WAIT holds most of them instead, it is time_wait_port_exhaustion.
"""

from __future__ import annotations

from estab.diagnose import local_ports
from estab.diagnose.advice import changes, ports
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, Rebuilt
from estab.diagnose.on_snapshots import Snapshots
from estab.records import PortUse, Remedy, RunResult
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where connects found no port and the range was seen full of live connections."""
    count = failures(run)
    evidence = [local_ports.errno_evidence(count), *local_ports.use_evidence(run)]
    if not count:
        return Judgement("ruled_out", "Every connect found a local port.", evidence)
    use = run.client.port_use
    fill = local_ports.fill(use) if use else None
    if fill is None:
        text = f"{plural(count, 'connect')} found no local port; how many are in use was not observed."
        return Judgement("possible", text, evidence)
    if fill < local_ports.FULL:
        text = (
            f"{plural(count, 'connect')} found no local port though "
            "the range was not seen full: ports owned by bind(), a "
            "source address that is not this host's, or too brief a peak."
        )
        return Judgement("possible", text, evidence)
    share = local_ports.time_wait_share(run) or 0.0
    if share >= 0.5 or (share > 0 and local_ports.fits_without_time_wait(run)):
        return Judgement("ruled_out", "The range was full, but of TIME_WAIT, not of live connections.", evidence)
    text = f"Live connections held every local port towards the target: {plural(count, 'connect')} found none."
    return Judgement("confirmed", text, evidence)


def failures(run: RunResult) -> int:
    """Connects that found no local port."""
    return local_ports.failed_for_ports(run)


def remedies(run: RunResult) -> list[Remedy]:
    """What works, then what does nothing."""
    return [
        *ports.more_ports(run),
        Remedy(
            command="setsockopt(IP_BIND_ADDRESS_NO_PORT) before bind() to a source address",
            works=True,
            changes=[changes.BIND_NO_PORT],
            why="A plain bind() takes its port for every destination; with this the port is chosen by connect().",
        ),
        Remedy(
            command="sysctl -w net.ipv4.tcp_tw_reuse=1",
            works=False,
            changes=[changes.sysctl("net.ipv4.tcp_tw_reuse", 1, "client")],
            why="The ports are held by live connections; there is nearly no TIME_WAIT to take over.",
        ),
        *ports.does_nothing(),
    ]


def judge_snapshots(snapshots: Snapshots) -> Judgement:
    """The range is full now, of live connections mostly."""
    return local_ports.full_now(snapshots, _mine, "live connections")


def judge_program(run: RunResult) -> Judgement:
    """As `judge_run` where connects were seen to find no port; else whether the range was seen full."""
    return local_ports.judge_program(run, judge_run, _mine, "live connections")


def _mine(use: PortUse) -> bool:
    return use.time_wait * 2 < use.used


CAUSE = Cause(
    id="ephemeral_port_exhaustion",
    side="client",
    stage=ConnectionStage.LOCAL_PORT,
    kind=CauseKind.LOCAL_PORTS,
    judge_run=judge_run,
    judge_snapshots=judge_snapshots,
    judge_program=judge_program,
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("the port range"),
)
