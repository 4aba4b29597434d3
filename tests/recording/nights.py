"""A night of eight hours on a busy host, second by second, with five incidents in it: made, not lived through."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.diagnose import runs

from estab.records import Conntrack, HostFacts, Listener, Process, Snapshot

DUSK = datetime(2026, 11, 25, 22, 0, tzinfo=UTC).timestamp()
SECONDS = 8 * 3600
BEFORE_S, NEAR_S = 60, 20  # an incident's two ends, and so long before it, every second is looked at, whatever the step


@dataclass(frozen=True)
class Incident:
    """From the second after `from_s` to `to_s`, in seconds of the night."""

    cause: str
    from_s: int
    to_s: int
    next: str = "recovered"
    next_s: int | None = None
    drops: int = 0


INCIDENTS = [
    Incident("accept_queue_overflow", 2_830, 2_937, "restarted", 2_948, drops=107 * 45),
    Incident("accept_queue_overflow", 11_550, 11_552, drops=2 * 45),
    Incident("server_open_files", 16_200, 16_500),
    Incident("conntrack_full_local", 18_905, 18_965),
    Incident("time_wait_port_exhaustion", 25_140, 25_290),
]


def night(step_s: int = 1) -> Iterator[Snapshot]:
    """A snapshot every `step_s`, and every second near the two ends of an incident."""
    noise = random.Random(7)
    for at in range(SECONDS):
        near = any(_near(at, each) for each in INCIDENTS)
        if near or at % step_s == 0:
            yield moment(at, noise)


def _near(at: int, incident: Incident) -> bool:
    within = incident.from_s + NEAR_S < at < incident.to_s - NEAR_S
    after_s = max(incident.to_s, incident.next_s or 0)
    return incident.from_s - BEFORE_S <= at <= after_s + NEAR_S and not within


def moment(at: int, noise: random.Random) -> Snapshot:
    """The host at this second."""
    stuck, brief, without_fds, tracked, ports = (each.from_s < at <= each.to_s for each in INCIDENTS)
    restarted = at >= (INCIDENTS[0].next_s or 0)
    gunicorn = _listener(
        8080, "gunicorn", 900 + restarted, inode=40 + restarted, cpu_s=at * 0.3,
        depth=2049 if stuck else noise.randrange(3), drops=0 if restarted else 45 * _so_far(at, INCIDENTS[0]),
    )  # fmt: skip
    nginx = _listener(
        443, "nginx", 300, inode=20, cpu_s=at * 0.1, fds=1024 if without_fds else noise.randrange(90, 200),
        depth=2049 if brief else 5 if without_fds else noise.randrange(2), drops=45 * _so_far(at, INCIDENTS[1]),
    )  # fmt: skip
    used = 28_232 if ports else noise.randrange(400, 900)
    return runs.snapshot(
        taken_at_s=DUSK + at,
        host=HostFacts(hostname="web-1", kernel="6.1.0", cores=4, netns_inode=4_026_531_840),
        listeners=[gunicorn, nginx],
        counters=_counters(at, noise),
        conntrack=Conntrack(count=65_536 if tracked else noise.randrange(9_000, 12_000), maximum=65_536, drop=0),
        port_use=runs.ports(
            address="10.0.0.9", port=5432, used=used, worst_source_used=used, time_wait=used - 50, capacity=28_232
        ),
    )


def _so_far(at: int, incident: Incident) -> int:
    """How many seconds of the incident have passed."""
    return max(0, min(at, incident.to_s) - incident.from_s)


def _listener(port: int, name: str, pid: int, *, depth: int, drops: int, inode: int, **owner: Any) -> Listener:
    process = Process(**{"pid": pid, "name": name, "started_ticks": pid * 100, "fds": 60, "nofile_soft": 1024, **owner})
    return Listener(
        family=4, address="0.0.0.0", port=port, depth=depth, limit=2048, drops=drops, inode=inode, owners=[process]
    )


def _counters(at: int, noise: random.Random) -> dict[str, int]:
    lost = 45 * sum(_so_far(at, each) for each in INCIDENTS[:2])
    return {
        "TcpExt.ListenOverflows": 700 + lost,
        "TcpExt.ListenDrops": 900 + lost,
        "TcpExt.TCPReqQFullDrop": 0,
        "TcpExt.TCPDeferAcceptDrop": 0,
        "TcpExt.SyncookiesFailed": 3,
        "TcpExt.EmbryonicRsts": 9,
        "TcpExt.TCPSynRetrans": 60,
        "Tcp.ActiveOpens": 1_000_000 + at * 20 + noise.randrange(9),
        "Tcp.PassiveOpens": 5_000_000 + at * 300 + noise.randrange(99),
        "Tcp.AttemptFails": 40,
        "Tcp.InSegs": 90_000_000 + at * 5_000 + noise.randrange(999),
        "Tcp.OutSegs": 80_000_000 + at * 4_000 + noise.randrange(999),
    }
