"""The process in which the lab's namespaces live: started by the runner, gone with it, and all of its children with it.

It has one thread, so that it may fork. Order on standard input, one line of JSON an event on standard output. Without
root it enters a user namespace first, where it is root of what it makes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from estab.errors import EstabError, MachineError
from estab.lab import _linux


def main() -> None:
    """What the runner starts. Exit status 0 when all was said, whatever it was."""
    parent = int(sys.argv[2])
    _linux.die_with_parent(parent)
    # A terminal's Ctrl-C comes to the runner too, and the runner decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.readline())
    try:
        seclude()
        _perform(order)
    except EstabError as error:
        _say({"error": [type(error).__name__, str(error)]})


def seclude() -> None:
    """Leaves the host's network for good: what is done from here on can't touch it."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            _linux.unshare(_linux.CLONE_NEWNET)
        except OSError:
            _unshare_user(uid, gid)  # root in a container without CAP_SYS_ADMIN
    else:
        _unshare_user(uid, gid)


def _unshare_user(uid: int, gid: int) -> None:
    try:
        _linux.unshare(_linux.CLONE_NEWUSER | _linux.CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    except OSError as error:
        raise MachineError(
            f"the lab needs network namespaces, and this kernel refused ({error.strerror}, uid {uid}): run it as root, "
            "or allow user namespaces: sysctl -w user.max_user_namespaces=10000, kernel.unprivileged_userns_clone=1 "
            "(Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container: --cap-add SYS_ADMIN"
        ) from error


def _perform(order: dict[str, Any]) -> None:
    # Imported here: a wrong order, or a machine that refuses, is told at once.
    from estab.lab.director import direct
    from estab.lab.gauge import gauge
    from estab.lab.scenario import Act, find

    if order["gauge"]:
        _say({"stage": ["the wire", "measuring itself"]})
        _say({"wire": msgspec.to_builtins(gauge())})
    captures = Path(order["captures"]) if order["captures"] else None
    for name in order["names"]:
        act = Act(
            name,
            full=order["full"],
            captures=captures,
            command=order["command"],
            tell=partial(_tell, name),
        )
        done = direct(find(name), act, order["settings"].get(name, {}))
        _say({"scenario": msgspec.to_builtins(done)})


def _tell(name: str, stage: str) -> None:
    _say({"stage": [name, stage]})


def _say(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
