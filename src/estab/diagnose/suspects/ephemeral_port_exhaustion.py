"""Live connections hold every local port of the range towards the target.

Source: `__inet_hash_connect` (net/ipv4/inet_hashtables.c) tries ports of one parity, then of the other, then gives
EADDRNOTAVAIL. Room for each (source address, destination address, destination port) = range - reserved - ports that
bind() owns. Where TIME_WAIT holds most of them instead, it is time_wait_port_exhaustion.
"""

from __future__ import annotations

from typing import Final

from estab.diagnose.advice import changes, ports
from estab.records import Evidence, Remedy, RunResult, Side, Suspect, Verdict

CAUSE: Final = "ephemeral_port_exhaustion"
SIDE: Final[Side] = "client"


def judge(run: RunResult) -> Suspect:
    """Confirmed where connects found no port and the range was seen full of live connections."""
    count = failures(run)
    evidence = [ports.errno_evidence(count), *ports.use_evidence(run)]
    if not count:
        return _suspect("ruled_out", "Every connect found a local port.", evidence, run)
    use = run.client.port_use
    fill = ports.fill(use) if use else None
    if fill is None:
        text = f"{count:,} connects found no local port; how many are in use was not observed."
        return _suspect("possible", text, evidence, run)
    if fill < ports.FULL:
        text = (
            f"{count:,} connects found no local port though the range was not seen full: ports owned by bind(), a "
            "source address that is not this host's, or too brief a peak."
        )
        return _suspect("possible", text, evidence, run)
    share = ports.time_wait_share(run) or 0.0
    if share >= 0.5 or (share > 0 and ports.fits_without_time_wait(run)):
        return _suspect("ruled_out", "The range was full, but of TIME_WAIT, not of live connections.", evidence, run)
    text = f"Live connections held every local port towards the target: {count:,} connects found none."
    return _suspect("confirmed", text, evidence, run)


def failures(run: RunResult) -> int:
    """Connects that found no local port."""
    return ports.failed_for_ports(run)


def _suspect(verdict: Verdict, summary: str, evidence: list[Evidence], run: RunResult) -> Suspect:
    found = remedies(run) if verdict in ("confirmed", "possible") else []
    return Suspect(cause=CAUSE, side=SIDE, verdict=verdict, summary=summary, evidence=evidence, remedies=found)


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
