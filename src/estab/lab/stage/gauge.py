"""What the wire itself costs on this machine: the time that it adds, and the packets that it carries a second."""

from __future__ import annotations

import select
import socket
import statistics
import time

from estab.lab.stage.hosts import CLIENT, SERVER
from estab.lab.stage.stage import Stage
from estab.lab.wire.spec import WireSpec
from estab.records.lab import LabWire

_PINGS = 150
_FLOOD_S = 0.1
_PORT = 9
_RTT_S = 0.002


def gauge() -> LabWire:
    """Sends packets over a wire of 2 ms, one by one and then as many as go. Takes about half a second."""
    with Stage(WireSpec(rtt_s=_RTT_S)) as stage:
        with stage.client.entered():
            here = _udp(CLIENT)
        with stage.server.entered():
            there = _udp(SERVER)
        with here, there:
            late = sorted(_one_way(here, there) - _RTT_S / 2 for _ in range(_PINGS))
            carried = _flood(here, there)
    return LabWire(
        added_us=round(statistics.median(late) * 1e6, 1),
        added_p99_us=round(late[len(late) * 99 // 100] * 1e6, 1),
        packets_per_s=round(carried),
    )


def _udp(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind((address, _PORT))
    made.setblocking(False)
    return made


def _one_way(here: socket.socket, there: socket.socket) -> float:
    began = time.monotonic()
    here.sendto(b"x", (SERVER, _PORT))
    select.select([there], [], [], 1)
    took = time.monotonic() - began
    there.recv(100)
    return took


def _flood(here: socket.socket, there: socket.socket) -> float:
    """Packets a second that arrive while as many are sent as go, from the first arrival to the last."""
    payload, arrived, until = b"x" * 64, 0, time.monotonic() + _FLOOD_S
    first = last = 0.0
    while time.monotonic() < until or select.select([there], [], [], 0.02)[0]:
        if time.monotonic() < until:
            for _ in range(16):
                here.sendto(payload, (SERVER, _PORT))
        try:
            while True:
                there.recv(100)
                last = time.monotonic()
                first = first or last
                arrived += 1
        except BlockingIOError:
            pass
    return arrived / (last - first) if last > first else 0.0
