"""What a twin is made of, in words. Pure."""

from __future__ import annotations

from estab.lab.twin.setup import Replay, Setup
from estab.report.words import count, seconds


def built(setup: Setup) -> list[str]:
    """What was rebuilt."""
    path = "both ends on one loopback, no wire" if setup.rtt_s is None else f"round-trip time {seconds(setup.rtt_s)}"
    return [_load(setup.load), path, _server(setup), *_limits(setup)]


def _load(load: Replay) -> str:
    said = f"{load.command}: {count(load.connections)} connections"
    if load.command == "hold":
        said += f", {count(load.in_flight)} under way at once"
        said += "" if load.ramp_per_s is None else f", {count(load.ramp_per_s)} a second"
    elif load.command == "bench":
        said += f", {load.mode}, {count(load.size_bytes)} bytes"
    else:
        said += f", the {load.first_close} closes" + (" by RST" if load.reset else "")
    waits = f"timeout {load.timeout_s:g} s" if load.timeout_s else "the kernel's own timeout"
    return f"{said}, {load.duration_s:g} s, {waits}"


def _server(setup: Setup) -> str:
    if not setup.listens:
        return "nobody listens"
    granted = setup.backlog if setup.somaxconn is None else min(setup.backlog, setup.somaxconn)
    said = f"listen({setup.backlog}), {count(granted)} granted"
    said += "" if setup.somaxconn is None else f" (somaxconn {setup.somaxconn})"
    if not setup.accepts:
        return said + ", accept() is never called"
    if setup.stops_after_s is not None:
        return said + f", accept() stands still after {setup.stops_after_s:.1f} s"
    return said + (f", {1 / setup.accept_gap_s:.3g} accepts a second" if setup.accept_gap_s else ", accepts at once")


def _limits(setup: Setup) -> list[str]:
    client, server = dict(setup.client), dict(setup.server)
    said = []
    if client or server:
        told = [("tcp_syncookies", server), ("tcp_max_syn_backlog", server), ("tcp_tw_reuse", client)]
        told.append(("ip_local_port_range", client))
        shown = [f"{name}={there[f'net.ipv4.{name}']}" for name, there in told if f"net.ipv4.{name}" in there]
        names = len(client.keys() | server.keys())
        said.append(f"{names} sysctls of the record, among them {', '.join(shown)}" if shown else f"{names} sysctls")
    limits = (("client", setup.client_nofile), ("server", setup.server_nofile))
    told_limits = [f"{count(limit)} for the {who}" for who, limit in limits if limit is not None]
    return [*said, f"descriptors a process: {', '.join(told_limits)}"] if told_limits else said
