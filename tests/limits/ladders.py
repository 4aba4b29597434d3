"""Snapshots and ladders as they really look, to be bent by the tests; and `estab limits` as a user runs it."""

from __future__ import annotations

import subprocess
from typing import Any

from estab.diagnose.ladder import BothEnds, HoldSpread
from estab.records import LIMITS_SCHEMA, HostFacts, Limit, Limits, Listener, PortUse, Process, Snapshot, decode

TARGET = ("127.0.0.1", 5000)
AWAY = ("10.0.0.5", 5000)


def snapshot(**fields: Any) -> Snapshot:
    """A Debian host with 8 GB; `sysctls` are laid over the usual ones, None takes one away."""
    sysctls: dict[str, list[int] | str | None] = {
        "net.core.somaxconn": [4096],
        "net.ipv4.tcp_syncookies": [1],
        "net.ipv4.tcp_max_syn_backlog": [2048],
        "net.ipv4.tcp_tw_reuse": [2],
        "net.ipv4.tcp_tw_reuse_delay": [1000],
        "net.ipv4.tcp_timestamps": [1],
        "net.ipv4.tcp_max_tw_buckets": [65536],
        "net.ipv4.ip_local_port_range": [32768, 60999],
        "net.ipv4.ip_local_reserved_ports": "",
        "net.ipv4.tcp_mem": [90_000, 120_000, 180_000],
        "net.ipv4.tcp_max_orphans": [32_768],
        "fs.nr_open": [1_048_576],
        "fs.file-max": [2_000_000],
        "fs.file-nr": [1_000, 0, 2_000_000],
        "net.netfilter.nf_conntrack_max": [262_144],
        "net.netfilter.nf_conntrack_count": [10],
        **fields.pop("sysctls", {}),
    }
    values: dict[str, Any] = {
        "taken_at_s": 1.0,
        "host": HostFacts(hostname="box", kernel="6.18.44", cores=2, memory_bytes=8 << 30, euid=1000),
        "nofile_soft": 20_000,
        "nofile_hard": 20_000,
        "sysctls": {name: value for name, value in sysctls.items() if value is not None},
        "listeners": [listener()],
        "port_use": ports(),
        "sockstat": {"TCP.mem": 3, "TCP.orphan": 0, "TCP.tw": 0},
        "memory_available_bytes": 6_000_000_000,
    }
    return Snapshot(**{**values, **fields})


def ports(**fields: Any) -> PortUse:
    values: dict[str, Any] = {"address": "127.0.0.1", "port": 5000, "used": 0, "time_wait": 0, "sources": 0, "bound": 0}
    return PortUse(**{**values, "worst_source_used": 0, "capacity": 28_232, **fields})


def process(pid: int = 7, **fields: Any) -> Process:
    return Process(**{"pid": pid, "name": "nginx", "fds": 10, "nofile_soft": 30_000, "nofile_hard": 30_000, **fields})


def listener(**fields: Any) -> Listener:
    values: dict[str, Any] = {"family": 4, "address": "127.0.0.1", "port": 5000, "depth": 0, "limit": 511, "inode": 1}
    return Listener(**{**values, "owners": [process()], **fields})


def spread(**fields: int) -> HoldSpread:
    return HoldSpread(**{"own_descriptors": 5, "processes": 501, "sources": 1, "most": 10_000_000, **fields})


def local(here: Snapshot | None = None, **fields: Any) -> BothEnds:
    """Both ends in one namespace."""
    here = here or snapshot()
    values: dict[str, Any] = {"server": here, "target": TARGET, "listeners": tuple(here.listeners or ())}
    return BothEnds(**{"client": here, "spread": spread(), **values, **fields})


def away(here: Snapshot | None = None, **fields: Any) -> BothEnds:
    """A target on another host that nobody shows."""
    return BothEnds(**{"client": here or snapshot(), "spread": spread(), "target": AWAY, **fields})


def over_unix(here: Snapshot | None = None, **fields: Any) -> BothEnds:
    """A UNIX socket of this host."""
    listening = listener(family=1, address="unix:/run/app.sock", port=0, limit=8, owners=[process(name="gunicorn")])
    here = here or snapshot(listeners=None, unix_listeners=[listening], port_use=None)
    values: dict[str, Any] = {"server": here, "target": ("unix:/run/app.sock", 0)}
    return local(here, listeners=tuple(here.unix_listeners or ()), **{**values, **fields})


def rung(limits: Limits, name: str) -> Limit:
    """The one rung of that name."""
    (found,) = [one for one in limits.limits if one.limit == name]
    return found


def names(limits: Limits) -> list[str]:
    return [one.limit for one in limits.limits]


def shown(done: subprocess.CompletedProcess[str]) -> Limits:
    """The ladder that `--json -` printed; fails with what was said where there is none."""
    assert done.stdout, f"exit {done.returncode}, no JSON; stderr: {done.stderr}"
    return decode(done.stdout.encode(), Limits, LIMITS_SCHEMA)
