"""A remedy of a verdict, as a change of the twin; or why the twin can't say anything of it. Pure.

Remedies are commands for a reader, and are recognised by their words. What no rule knows is said not to be expressed,
and is then not called proved.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from estab.errors import UsageError
from estab.lab.space import check_sysctl
from estab.lab.twin import scaling
from estab.lab.twin.setup import Host, Setup
from estab.load.plan import OWN_DESCRIPTORS

_SIZED = r"(?:listen\((?:fd, )?|backlog[=: ]+|ServerSocket\(\d+, |ListenBacklog )(\d+)"
_SYSCTL = re.compile(r"""\b((?:net|fs|kernel|vm)\.[a-z0-9_.-]+)=(?:"([^"]*)"|'([^']*)'|(\S+))""")
_OF_CLIENTS = ("ip_local_", "tcp_tw_", "tcp_timestamps", "tcp_fin_timeout", "tcp_syn_retries", "tcp_syn_linear")


@dataclass(frozen=True)
class Expressed:
    """The twin with the remedy, and what was changed; `setup` None: it can't be, and `did` is the reason."""

    setup: Setup | None
    did: str


@dataclass(frozen=True)
class _Asked:
    command: str
    setup: Setup
    side: Host
    scale: float


def express(command: str, works: bool, setup: Setup, side: str, scale: float) -> Expressed:
    """What a remedy is in the twin. `side`: that of the cause; `works`: what the verdict claims of it."""
    asked = _Asked(command, setup, "server" if side == "server" else "client", scale)
    for pattern, rule in _RULES:
        found = re.search(pattern, command)
        if found is not None:
            done = rule(asked, found)
            if done.setup == setup and works:
                return Expressed(None, f"{done.did}: the twin has that already")
            return done
    return Expressed(None, "no rule of the twin's knows this one")


def _not(why: str) -> Callable[[_Asked, re.Match[str]], Expressed]:
    return lambda _asked, _found: Expressed(None, why)


def _accepts(asked: _Asked, _found: re.Match[str]) -> Expressed:
    setup = replace(asked.setup, accepts=True, accept_gap_s=0.0, stops_after_s=None)
    said = "an accepting thread of its own: " if "py-spy" in asked.command else ""
    return Expressed(setup, f"{said}the server accepts at once")


def _backlog(asked: _Asked, found: re.Match[str]) -> Expressed:
    size = scaling.times(int(found[1]), asked.scale)
    return _deeper(asked, size, f"listen({size}), somaxconn not below that")


def _deeper(asked: _Asked, size: int, did: str) -> Expressed:
    """Both bounds of a queue: a backlog that somaxconn cuts is no remedy, and the verdict's list says so."""
    setup = replace(asked.setup, backlog=max(size, asked.setup.backlog))
    somaxconn = setup.somaxconn
    if somaxconn is None or somaxconn < size:
        setup = setup.with_sysctl("server", "net.core.somaxconn", size)
    return Expressed(setup, did)


def _somaxconn(asked: _Asked, found: re.Match[str]) -> Expressed:
    size = scaling.times(int(found[1]), asked.scale)
    return _deeper(asked, size, f"somaxconn {size}, and listen({size}) anew")


def _backlog_alone(asked: _Asked, _found: re.Match[str]) -> Expressed:
    size = max(4 * asked.setup.backlog, 65535)
    return Expressed(replace(asked.setup, backlog=size), f"listen({size}), somaxconn as it is")


def _both(asked: _Asked, _found: re.Match[str]) -> Expressed:
    return _deeper(asked, 65535, "somaxconn 65535 and listen(65535)")


def _late(asked: _Asked, found: re.Match[str]) -> Expressed:
    setup = replace(asked.setup, late=(("net.core.somaxconn", int(found[1])),))
    return Expressed(setup, f"somaxconn {found[1]} once the server listens")


def _sysctls(asked: _Asked, _found: re.Match[str]) -> Expressed:
    setup, did = asked.setup, []
    if setup.rtt_s is None and "on the server" in asked.command:
        return Expressed(None, "client and server are one host here")
    for name, *values in _SYSCTL.findall(asked.command):
        value = next(one for one in values if one)
        try:
            check_sysctl(name)
        except UsageError as error:
            return Expressed(None, str(error))
        value = scaling.sysctl(name, value, asked.scale)
        ours = any(word in name for word in _OF_CLIENTS) and "on the server" not in asked.command
        host: Host = "client" if ours else "server"
        setup = setup.with_sysctl(host, name, value)
        did.append(f"{name}={value} at the {'host' if setup.rtt_s is None else host}")
    return Expressed(setup, ", ".join(did))


def _descriptors(asked: _Asked, found: re.Match[str]) -> Expressed:
    limit = scaling.descriptors(int(found[1]), asked.scale)
    if asked.setup.one_shell:
        setup = replace(asked.setup, server_nofile=limit, client_nofile=limit)
        return Expressed(setup, f"RLIMIT_NOFILE {limit} for both ends, which one command started")
    if asked.side == "server":
        return Expressed(replace(asked.setup, server_nofile=limit), f"RLIMIT_NOFILE {limit} for the server")
    return Expressed(replace(asked.setup, client_nofile=limit), f"RLIMIT_NOFILE {limit} for the client")


def _workers(asked: _Asked, _found: re.Match[str]) -> Expressed:
    room = max(1, (asked.setup.client_nofile or 1024) - OWN_DESCRIPTORS)
    workers = -(-asked.setup.load.connections // room) + 1
    return Expressed(asked.setup.with_load(workers=workers), f"{workers} client processes")


def _timeout(asked: _Asked, found: re.Match[str]) -> Expressed:
    return Expressed(asked.setup.with_load(timeout_s=float(found[1])), f"a timeout of {found[1]} s")


def _sources(asked: _Asked, _found: re.Match[str]) -> Expressed:
    low, high = (int(port) for port in str(dict(asked.setup.client).get(scaling.PORT_RANGE, "32768 60999")).split())
    load = asked.setup.load
    wanted = max(1, load.sources) + -(-load.connections // max(1, high - low + 1))
    return Expressed(asked.setup.with_load(sources=min(200, wanted)), f"{min(200, wanted)} source addresses")


def _server_closes(asked: _Asked, _found: re.Match[str]) -> Expressed:
    if asked.setup.load.command != "churn":
        return Expressed(None, "only churn closes on the way")
    return Expressed(asked.setup.with_load(first_close="server"), "the server closes first")


_LOOKS = "it looks, and changes nothing"
_PROGRAM = "it is a change of the client program, which the twin does not have"
_RULES: tuple[tuple[str, Callable[[_Asked, re.Match[str]], Expressed]], ...] = (
    (r"call accept\(\)|py-spy dump", _accepts),
    (r"^(timeout \d+ )?(strace|watch|nstat|ss|ls|tcpdump|ping|traceroute|mtr|top|pidstat|perf)\b", _not(_LOOKS)),
    (r"in a container|on the host", _not("the twin's server has one namespace, not a host's beside a container's")),
    (r"somaxconn=(\d+), the server left running", _late),
    (r"a bigger backlog in the program alone", _backlog_alone),
    (r"a bigger backlog, sysctl -w net\.core\.somaxconn=", _both),
    (r"any sysctl on the server, a bigger backlog", _both),
    (r"sysctl -w net\.core\.somaxconn=(\d+)", _somaxconn),
    (r"limits\.conf", _not("the twin has no login")),
    (r"tcp_tw_recycle", _not("no kernel since 4.12 has it")),
    (_SYSCTL.pattern, _sysctls),
    (_SIZED, _backlog),
    (r"--timeout (\d+(?:\.\d+)?)", _timeout),
    (r"(?:ulimit -n |LimitNOFILE=|--nofile=)(\d+)", _descriptors),
    (r"more client processes", _workers),
    (r"more source addresses", _sources),
    (r"server close first", _server_closes),
    (r"IP_BIND_ADDRESS_NO_PORT", _not("the twin's client chooses its ports by connect() in any case")),
    (r"connection pool|retry|SIGPIPE", _not(_PROGRAM)),
)
