"""This machine, as the plan of a load has to know it, and whether it can hold as many connections as are asked for."""

from __future__ import annotations

from estab.errors import EstabError, MachineError
from estab.kernel.formats import sysctl
from estab.kernel.rules import memory
from estab.load import plan
from estab.load.plan import ClientLoad, Machine
from estab.observe import host, sysctls, system
from estab.words import plural


def machine() -> Machine:
    """What the plan has to know of this machine and network namespace."""
    soft, _hard = host.own_open_files()
    cores, nofile = host.facts().cores or 1, soft or plan.MOST_CONNECTIONS
    try:
        port_range = sysctls.read_one("net.ipv4.ip_local_port_range")
        ports = sysctl.usable_ports(port_range, sysctls.read_one("net.ipv4.ip_local_reserved_ports"))
        return Machine(cores, nofile, ports, sysctl.port_bounds(port_range))
    except (OSError, EstabError):
        return Machine(cores, nofile, ports=None)


def check_fits(load: ClientLoad, here: Machine, *, embedded: bool) -> None:
    """Raises MachineError, with every limit that is too narrow, where this machine cannot hold so many connections.

    Asked before anything is opened: a machine that runs out of memory cannot say so any more.
    """
    narrow = [
        f"{name} allows {fit:,} ({why})"
        for name, fit, why in _ladder(load, here, 2 if embedded else 1)
        if fit < load.connections
    ]
    if narrow:
        more = "; `estab limits` shows the whole ladder"
        wanted = plural(load.connections, "connection does", "connections do")
        raise MachineError(f"{wanted} not fit: {', '.join(narrow)}{more}")


def _ladder(load: ClientLoad, here: Machine, ends: int) -> list[tuple[str, int, str]]:
    """What bounds all processes of this machine together: name, how many connections, and of what."""
    available = system.read_memory_available()
    workers = plan.client_processes_for(load, here, beside_server=False)
    workers += plan.server_processes_for(load.connections, here.nofile) if ends == 2 else 0
    each = (memory.BYTES_PER_POLLED_PAIR / 2 + plan.BYTES_PER_CONNECTION) * ends
    each += workers * plan.BYTES_PER_WORKER / load.connections
    why = f"{load.connections * each / 1e9:.1f} GB needed, {available / 1e9:.1f} GB available"
    rungs = [("memory", memory.connections(available, each) or 0, why)]
    if (files := host.open_files_left()) is not None:
        rungs.append(("fs.file-max", files // ends, f"{plural(files, 'more file')} may be opened on this host"))
    return sorted(rungs, key=lambda rung: rung[1])
