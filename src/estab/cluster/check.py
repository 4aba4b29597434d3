"""`cluster check`: every worker of a cluster, what it is, and what it could generate."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from estab import __version__
from estab.cluster.members import Member, Roles, assign
from estab.cluster.probe import Could, Probed
from estab.cluster.session import Session, connected
from estab.errors import MachineError
from estab.records.cluster import Clock, ClusterCheck, ClusterWorker
from estab.words import plural


def check(address: str, *, told: Callable[[str], None] = lambda _text: None) -> ClusterCheck:
    """Asks every worker of the scheduler at `address`; nothing is connected to any target.

    Raises MachineError where no scheduler answers or it has no workers. What is wrong with a worker stands with it.
    """
    told(f"connecting to {address}")
    with connected(address) as session:
        members = session.members()
        roles = assign(members, address)
        told(f"asking {plural(len(members), 'worker')}")
        probed = session.probe(members)
        able = [member for member in members if isinstance(probed[member.address], Probed)]
        could = {who: msgspec.json.decode(data, type=Could) for who, data in session.could(able).items()}
        workers = []
        for number, member in enumerate(members, 1):
            told(f"comparing clocks: {number} of {len(members)}")
            clock = _clock(session, member) if member in able else None
            workers.append(
                _worker(member, _role(member, roles), probed[member.address], could.get(member.address), clock)
            )
    counts = [worker.connections for worker in workers if worker.role == "generator"]
    known = [count for count in counts if count is not None]
    return ClusterCheck(
        scheduler=address,
        workers=workers,
        connections=sum(known) if len(known) == len(counts) else None,
        estab_version=__version__,
    )


def _clock(session: Session, member: Member) -> Clock | None:
    try:
        return session.clock(member)
    except MachineError:  # it went meanwhile
        return None


def _role(member: Member, roles: Roles) -> str:
    if member in roles.generators:
        return "generator"
    return "server" if member == roles.server else "idle"


def _worker(member: Member, role: str, probed: Probed | str, could: Could | None, clock: Clock | None) -> ClusterWorker:
    worker = ClusterWorker(address=member.address, name=member.name, role=role)
    if isinstance(probed, str):
        return worker.replace(problem=probed)
    ability = could or Could()
    return worker.replace(
        estab_version=probed.estab_version,
        python=probed.python,
        hostname=probed.hostname,
        kernel=probed.kernel,
        cores=probed.cores,
        nofile_soft=probed.nofile_soft,
        ports=probed.ports,
        memory_available_bytes=probed.memory_available_bytes,
        connections=ability.connections,
        binding=ability.binding,
        processes=ability.processes,
        clock=clock,
        limits=ability.limits,
    )
