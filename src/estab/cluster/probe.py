"""What every worker is asked before anything else: who it is, what its clock says, and what it could generate."""

from __future__ import annotations

import platform
import time

import msgspec

from estab import __version__
from estab.api.limits import limits
from estab.api.machine import machine
from estab.errors import EstabError
from estab.load import plan
from estab.load.plan import ClientLoad
from estab.observe import host, system
from estab.records.base import Record
from estab.records.limits import Limits

_NOWHERE = ("192.0.2.1", 1, 0)  # RFC 5737


class Probed(Record, frozen=True, kw_only=True):
    """A worker's answer."""

    estab_version: str
    python: str
    hostname: str | None
    kernel: str | None
    cores: int
    nofile_soft: int
    ports: int | None
    memory_available_bytes: int


class Could(Record, frozen=True, kw_only=True):
    """How many connections the host could give one target elsewhere, by how many processes, and the whole ladder."""

    connections: int | None = None
    binding: str | None = None
    processes: int | None = None
    limits: Limits | None = None


def probe(_payload: bytes) -> bytes:
    """`Probed`, of the host and the network namespace that the worker is in."""
    here, facts = machine(), host.facts()
    return msgspec.json.encode(
        Probed(
            estab_version=__version__,
            python=platform.python_version(),
            hostname=facts.hostname,
            kernel=facts.kernel,
            cores=here.cores,
            nofile_soft=here.nofile,
            ports=here.ports,
            memory_available_bytes=system.read_memory_available(),
        )
    )


def clock(_payload: bytes) -> bytes:
    """What this host's clock says, Unix time in seconds."""
    return repr(time.time()).encode()


def could(_payload: bytes) -> bytes:
    """`Could`, from the ladder of limits."""
    try:
        ladder = limits(f"{_NOWHERE[0]}:{_NOWHERE[1]}")
    except EstabError:
        return msgspec.json.encode(Could())
    # A process's descriptors do not bound a host where the plan takes more processes.
    spreads = machine().nofile - plan.OWN_DESCRIPTORS >= plan.WORTH_SPREADING
    passed_over = ("client_open_files", "nr_open") if spreads else ()
    known = [
        rung
        for rung in ladder.limits
        if rung.side == "client" and rung.capacity_connections is not None and rung.limit not in passed_over
    ]
    least = min(known, key=lambda rung: rung.capacity_connections or 0, default=None)
    count = least.capacity_connections if least else None
    processes = None
    if count:
        load = ClientLoad("hold", min(count, plan.MOST_CONNECTIONS), 1.0)
        processes = plan.client_processes_for(load, machine(), beside_server=False)
    return msgspec.json.encode(
        Could(connections=count, binding=least.limit if least else None, processes=processes, limits=ladder)
    )
