"""What the host allows beside sockets: connection tracking, queues, neighbours, and what may stand in the way."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from estab.errors import MachineError
from estab.kernel.formats import conntrack, neighbours, nftables, softnet, words
from estab.observe.counters import NetFile
from estab.observe.gaps import Gaps
from estab.records import Conntrack, NeighbourTable, Security, Softnet

_ROUTE, _NETFILTER = 0, 12  # NETLINK_ROUTE, NETLINK_NETFILTER
_PATIENCE_S = 2
_NO_MODULE = "connection tracking is not loaded: nothing is tracked here"


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
        invalid=totals.get("invalid"),
    )


def _read_conntrack_totals() -> dict[str, int]:
    with NetFile("stat/nf_conntrack") as file:
        return conntrack.parse_stat(file.read())


def _number(path: str) -> int:
    return words.decimal(Path(path).read_bytes().strip())


def read_softnet() -> Softnet:
    """What the receive queues of all CPUs of the machine dropped. Raises OSError, ParseError."""
    with NetFile("softnet_stat") as file:
        return softnet.parse_softnet(file.read())


def read_neighbours() -> list[NeighbourTable]:
    """The machine's neighbour tables. Raises MachineError where netlink does not tell, ParseError."""
    dump = neighbours.NeighbourTables()
    try:
        with _netlink(_ROUTE) as asking:
            asking.send(neighbours.request())
            while not dump.add(asking.recv(1 << 17)):
                pass
    except OSError as error:
        raise MachineError(f"netlink of neighbours: {error.strerror}") from error
    return dump.tables


@contextmanager
def _netlink(protocol: int) -> Iterator[socket.socket]:
    """A socket that does not wait for ever for a kernel that does not answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE_S, 0))
        yield asking


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
    try:
        return words.text((own if own.exists() else Path("/proc/self/attr/current")).read_bytes())
    except OSError as error:
        if error.errno == errno.EINVAL:  # built in, and not switched on: `security/security.c security_getprocattr`
            return "disabled"
        raise


def _nft_rules() -> bool:
    """Whether nftables holds any rule here, iptables-nft's included. Needs CAP_NET_ADMIN in the namespace."""
    try:
        with _netlink(_NETFILTER) as asking:
            asking.send(nftables.rules_request())
            any_rule, refused = nftables.first_answer(asking.recv(1 << 17))
    except OSError as error:
        raise MachineError(f"netlink to nftables: {error.strerror}") from error
    if refused:
        why = os.strerror(refused)
        raise MachineError(f"nftables did not say ({why}): run as root, or where nf_tables is loaded")
    return any_rule


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
