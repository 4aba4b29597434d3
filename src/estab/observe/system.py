"""What the host allows beside sockets: connection tracking, cgroup limits, memory, and what may stand in the way."""

from __future__ import annotations

import os
import posixpath
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from estab.errors import MachineError
from estab.kernel.formats import cgroup, conntrack, nftables, words
from estab.observe.counters import NetFile
from estab.observe.gaps import Gaps
from estab.records import CgroupLimits, Conntrack, Security

_NETFILTER = 12  # NETLINK_NETFILTER
_PATIENCE_S = 2
_NO_MODULE = "connection tracking is not loaded: nothing is tracked here"
T = TypeVar("T")


def read_memory_available() -> int:
    """MemAvailable, in bytes. Raises OSError, ParseError."""
    return words.memory_available_bytes(Path("/proc/meminfo").read_bytes())


def read_conntrack(gaps: Gaps) -> Conntrack | None:
    """The connection tracking table of this thread's network namespace; None where none is loaded."""
    path = "/proc/sys/net/netfilter/nf_conntrack_"
    if not os.path.exists(path + "count"):
        gaps.note("conntrack", _NO_MODULE)
        return None
    totals = gaps.read("conntrack.drop", _read_conntrack_totals) or {}
    return Conntrack(
        count=gaps.read("conntrack.count", lambda: _number(path + "count")),
        maximum=gaps.read("conntrack.maximum", lambda: _number(path + "max")),
        buckets=gaps.read("conntrack.buckets", lambda: _number(path + "buckets")),
        drop=totals.get("drop"),
        early_drop=totals.get("early_drop"),
        insert_failed=totals.get("insert_failed"),
    )


def _read_conntrack_totals() -> dict[str, int]:
    with NetFile("stat/nf_conntrack") as file:
        return conntrack.parse_stat(file.read())


def _number(path: str) -> int:
    return words.decimal(Path(path).read_bytes().strip())


# -- cgroup v2 --------------------------------------------------------------------------------------------------------


def read_cgroup(gaps: Gaps) -> CgroupLimits | None:
    """This process's cgroup v2 limits, each the narrowest on the way to the root; None where there is no v2."""
    path = gaps.read("cgroup", lambda: cgroup.v2_path(Path("/proc/self/cgroup").read_bytes()))
    mount = gaps.read("cgroup", lambda: cgroup.v2_mount(Path("/proc/self/mountinfo").read_bytes()))
    if path is None or mount is None:
        gaps.note("cgroup", "this process is in no cgroup v2 hierarchy, or none is mounted here; v1 is not read")
        return None
    groups = _way_to_root(path, *mount)
    memory = _narrowest(groups, "memory.max", cgroup.limit, gaps)
    pids = _narrowest(groups, "pids.max", cgroup.limit, gaps)
    cpu = _narrowest(groups, "cpu.max", cgroup.cpu_cores, gaps)
    return CgroupLimits(
        path=path,
        memory_max_bytes=memory[1] if memory else None,
        memory_current_bytes=_current(memory[0], "memory.current", gaps) if memory else None,
        pids_max=pids[1] if pids else None,
        pids_current=_current(pids[0], "pids.current", gaps) if pids else None,
        cpu_max_cores=cpu[1] if cpu else None,
    )


def _way_to_root(path: str, mount_point: str, root: str) -> list[str]:
    """The directories of a group and of all above it that are visible below the mount point, narrow to wide."""
    inside = posixpath.relpath(path, root) if root != "/" else path.lstrip("/")
    # A group beside what is mounted here (a container's view of its host's) shows as `../…`: only the mount is ours.
    parts = [] if inside.startswith("..") else [part for part in inside.split("/") if part not in ("", ".")]
    return [posixpath.join(mount_point, *parts[:count]) for count in range(len(parts), -1, -1)]


def _narrowest(groups: list[str], name: str, parse: Callable[[bytes], T | None], gaps: Gaps) -> tuple[str, T] | None:
    """The least limit of this name and the group that has it. The root group has none of these files."""
    found: list[tuple[T, str]] = []
    seen = False
    for group in groups:
        path = Path(group, name)
        if not path.exists():
            continue
        seen = True
        value = gaps.read(f"cgroup.{name}", lambda path=path: parse(path.read_bytes()))  # type: ignore[misc]
        if value is not None:
            found.append((value, group))
    if not seen:
        gaps.note(f"cgroup.{name}", f"no group on the way to the root has {name}: its controller is not in cgroup v2")
    if not found:
        return None
    value, group = min(found)
    return group, value


def _current(group: str, name: str, gaps: Gaps) -> int | None:
    return gaps.read(f"cgroup.{name}", lambda: words.decimal(Path(group, name).read_bytes().strip()))


# -- what may stand in the way ----------------------------------------------------------------------------------------


def read_security(gaps: Gaps) -> Security:
    """SELinux and AppArmor, and whether this thread's network namespace has firewall rules."""
    return Security(
        selinux=gaps.read("security.selinux", _selinux),
        apparmor=gaps.read("security.apparmor", _apparmor),
        nft_rules=gaps.read("security.nft_rules", _nft_rules),
        iptables_rules=gaps.read("security.iptables_rules", _iptables_rules),
    )


def _selinux() -> str:
    """selinuxfs has `enforce` exactly while SELinux is on (security/selinux/selinuxfs.c)."""
    path = Path("/sys/fs/selinux/enforce")
    if not path.exists():
        return "disabled"
    return "enforcing" if words.decimal(path.read_bytes().strip()) else "permissive"


def _apparmor() -> str:
    """The profile that confines this process, as `unconfined` or `name (enforce)`; `disabled` without AppArmor."""
    if not os.path.isdir("/sys/kernel/security/apparmor") and not os.path.isdir("/sys/module/apparmor"):
        return "disabled"
    own = Path("/proc/self/attr/apparmor/current")
    return words.text((own if own.exists() else Path("/proc/self/attr/current")).read_bytes())


def _nft_rules() -> bool:
    """Whether nftables holds any rule here, iptables-nft's included. Needs CAP_NET_ADMIN in the namespace."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as asking:
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE_S, 0))
            asking.send(nftables.rules_request())
            found, refused = nftables.first_answer(asking.recv(1 << 17))
    except OSError as error:
        raise MachineError(f"netlink to nftables: {error.strerror}") from error
    if refused:
        why = os.strerror(refused)
        raise MachineError(f"nftables did not say ({why}): run as root, or where nf_tables is loaded")
    return found


def _iptables_rules() -> bool:
    """Whether a table of the old iptables is in use here. Such a table may be empty; which is not told."""
    names = b""
    for name in ("ip_tables_names", "ip6_tables_names"):
        try:
            with NetFile(name) as file:
                names += file.read()
        except FileNotFoundError:
            continue
    return bool(names.strip())
