"""Rules of the client's own host: what it refuses or drops itself, and its NAT. By `nft`, in a namespace of the lab."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Literal

from estab.errors import MachineError
from estab.lab.stage.hosts import PORT

_FIRST_NAT_PORT = 1024
_LACKING = ("Operation not supported", "No such file or directory", "Protocol not supported")
_NO_TOOL = "it needs `nft`: apt-get install nftables"


def own_rule(verdict: Literal["reject", "drop"]) -> str:
    """What the client sends to the server's port is refused or dropped, before it leaves."""
    return _table("inet", "type filter hook output priority 0", f"tcp dport {PORT} counter {verdict}")


def masquerade(ports: int) -> str:
    """The client's connections get one of so many source ports, from 1024 on."""
    last = min(65535, _FIRST_NAT_PORT + ports - 1)
    rule = f"ip protocol tcp masquerade to :{_FIRST_NAT_PORT}-{last}"
    return _table("ip", "type nat hook postrouting priority 100", rule)


def drop_invalid() -> str:
    """What comes to the client and fits no flow that it tracks is dropped, before a socket is sought for it."""
    return _table("inet", "type filter hook input priority 0", "ct state invalid counter drop")


def _table(family: str, hook: str, rule: str) -> str:
    return f"table {family} estab_lab {{\n chain rules {{\n {hook}\n {rule}\n }}\n}}\n"


def nft(rules: str) -> None:
    """Loads rules into this thread's namespace. Raises MachineError with what failed."""
    tool = _tool()
    if tool is None:
        raise MachineError(_NO_TOOL)
    done = subprocess.run([tool, "-f", "-"], input=rules, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        first = " ".join(done.stderr.partition("\n")[0].split())
        lacking = any(why in first for why in _LACKING)
        why = (
            "this kernel is built without a part of nf_tables that it needs, or its module is not there; "
            if lacking
            else ""
        )
        raise MachineError(f"{why}nft: {first}")


def why_not() -> str | None:
    """Why this machine can't have rules in a namespace, as far as that is seen without one; None where it can."""
    return _NO_TOOL if _tool() is None else None


def _tool() -> str | None:
    return shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
