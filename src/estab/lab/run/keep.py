"""Staying inside: the stage as it stands, each host with a process that others can enter it by."""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

from estab.lab.process.child import Child, say
from estab.lab.process.isolation import Inside
from estab.lab.process.namespace import LabNamespace
from estab.lab.stage.hosts import CLIENT, LOOPBACK, PORT, SERVER
from estab.lab.stage.stage import Stage
from estab.records.lab import LabHost, LabInside

_ADDRESSES = {"client": CLIENT, "server": SERVER}


def stay(stage: Stage, name: str, inside: Inside, told: Callable[[LabInside], None]) -> NoReturn:
    """Tells what there is to enter, and waits to be killed: the runner hangs up when the user leaves."""
    loopback = stage.wire is None
    hosts = []
    for host in stage.namespaces:
        address = LOOPBACK if loopback else _ADDRESSES.get(host.name)
        hosts.append(_host(host, "host" if loopback else host.name, address, inside))
    told(LabInside(scenario=name, hosts=hosts, port=PORT, loopback=loopback))
    while True:
        signal.pause()


def _host(namespace: LabNamespace, name: str, address: str | None, inside: Inside) -> LabHost:
    resident: Child[None] = Child(lambda connection: _reside(connection, inside), namespace)
    pid: int = resident.receive()
    user = ["--preserve-credentials", "-U"] if inside.as_user else []
    return LabHost(name=name, pid=pid, address=address, enter=["nsenter", *user, "-n", "-t", str(pid)])


def _reside(connection: Connection, inside: Inside) -> None:
    say(connection, inside.number_outside())
    while True:
        signal.pause()
