"""What of a setup this machine can build: sysctls that its kernel has, descriptors that it allows."""

from __future__ import annotations

import resource
from dataclasses import replace

from estab.errors import EstabError
from estab.lab.process.namespace import LabNamespace, sysctl
from estab.lab.stage.setup import Setup
from estab.load.plan import OWN_DESCRIPTORS
from estab.words import plural


def fitted(setup: Setup) -> tuple[Setup, list[str]]:
    """The setup as this machine can build it, and what it can't: sysctls this kernel lacks, descriptors not allowed."""
    lost: list[str] = []
    probe = LabNamespace("probe")
    with probe.entered():
        kept = {
            host: tuple((name, value) for name, value in sysctls if _writable(name, value, lost))
            for host, sysctls in (("client", setup.client), ("server", setup.server))
        }
    probe.close()
    client, server = (_allowed(limit, lost) for limit in (setup.client_nofile, setup.server_nofile))
    bound = _bindable(setup.bound, lost)
    made = replace(
        setup, bound=bound, client_nofile=client, server_nofile=server, client=kept["client"], server=kept["server"]
    )
    return made, list(dict.fromkeys(lost))


def _writable(name: str, value: int | str, lost: list[str]) -> bool:
    try:
        sysctl(name, value)
    except (EstabError, OSError) as error:
        lost.append(f"{name}={value}: {error.strerror if isinstance(error, OSError) else error}")
        return False
    return True


def _bindable(ports: int, lost: list[str]) -> int:
    """As many sockets as one process of this machine may have, less what it needs itself."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or ports <= hard - OWN_DESCRIPTORS:
        return ports
    lost.append(f"{plural(ports, 'port')} owned by bind(): the hard limit of descriptors is {hard:,} (--scale helps)")
    return hard - OWN_DESCRIPTORS


def _allowed(limit: int | None, lost: list[str]) -> int | None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit is None or limit <= hard or hard == resource.RLIM_INFINITY:
        return limit
    lost.append(f"RLIMIT_NOFILE {limit}: the hard limit here is {hard}")
    return hard
