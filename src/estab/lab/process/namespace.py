"""Network namespaces without a name: each is held open by this process alone, and goes when it goes.

What lives here: making and entering namespaces, links between them, and sysctls inside them. What never may: a write to
a sysctl of a namespace that the lab did not make; `sysctl()` refuses.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping

from estab.errors import EstabError, MachineError, UsageError
from estab.kernel.rules import sysctls
from estab.lab.process import links, linux

# Not one per network namespace: a write would change the host (`net/core/sysctl_net_core.c` and
# `net/ipv4/sysctl_net_ipv4.c` register them in init_net's table alone, or share one variable).
_GLOBAL = {
    "net.ipv4.tcp_mem": "the memory of all TCP sockets of the machine is one account",
    "net.ipv4.tcp_max_orphans": "orphans are counted for the whole machine",
    "net.ipv4.udp_mem": "the memory of all UDP sockets of the machine is one account",
    "net.core.netdev_max_backlog": "the queue of each CPU serves all namespaces",
    "net.core.rmem_max": "socket buffers are bounded for the whole machine",
    "net.core.wmem_max": "socket buffers are bounded for the whole machine",
    "net.netfilter.nf_conntrack_max": "only the initial namespace's value counts",
    "net.netfilter.nf_conntrack_buckets": "the hash table is the whole machine's",
    "net.nf_conntrack_max": "only the initial namespace's value counts",
}
_NAME = re.compile(r"net(\.[A-Za-z0-9_-]+)+")
# A host's table of connections has a place for each 128 KiB of memory (`tcp_init`, net/ipv4/tcp.c), and every look at
# sockets walks through all of them (`tcp_diag_dump`, net/ipv4/tcp_diag.c): milliseconds for a handful of connections.
_CHILDREN_TABLE, _TABLE_PLACES = "net.ipv4.tcp_child_ehash_entries", 4096
# What a namespace has by default depends on the size of its table (`tcp_set_hashinfo`, net/ipv4/tcp_ipv4.c).
_BY_TABLE = ("net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_syn_backlog")
_made: set[int] = set()


def left_host() -> None:
    """This process has left the host's network: each namespace made from here has a small table of its own (6.1)."""
    _made.add(linux.network_namespace())
    with contextlib.suppress(EstabError, OSError):  # it is for speed alone
        sysctl(_CHILDREN_TABLE, _TABLE_PLACES)


class LabNamespace:
    """A network namespace without IPv6. Made by `LabNamespace()`, gone after `close()` and the last socket in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        before = linux.open_network_namespace()
        defaults = {name: sysctl(name) for name in _BY_TABLE if has_sysctl(name)}
        try:
            linux.unshare(linux.CLONE_NEWNET)
            _made.add(linux.network_namespace())
            self._file = linux.open_network_namespace()
            for which in ("all", "default"):  # no neighbour discovery beside the packets that are counted
                if has_sysctl(name := f"net.ipv6.conf.{which}.disable_ipv6"):
                    sysctl(name, 1)
            for name, value in defaults.items():
                sysctl(name, value)
        finally:
            linux.setns(before)
            os.close(before)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is inside within the block; sockets that it opens there stay there."""
        before = linux.open_network_namespace()
        try:
            linux.setns(self._file)
            yield
        finally:
            linux.setns(before)
            os.close(before)

    def enter(self) -> None:
        """This process is inside from now on: for a child."""
        linux.setns(self._file)

    @property
    def path(self) -> str:
        """A path that others can enter it by while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._file}"

    def fileno(self) -> int:
        """A descriptor of it."""
        return self._file

    def close(self) -> None:
        """Lets go of it."""
        os.close(self._file)

    def configure(self, wanted: Mapping[str, int | str]) -> None:
        """Writes sysctls inside. Raises as `sysctl`."""
        with self.entered():
            for name, value in wanted.items():
                sysctl(name, value)


def check_sysctl(name: str) -> None:
    """Raises UsageError for a sysctl that cannot be set for one namespace alone."""
    if name in _GLOBAL:
        raise UsageError(f"{name} is not per network namespace ({_GLOBAL[name]}): the lab does not write it")
    if not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(f"sysctl {name!r}: only those below net. belong to a network namespace")


def sysctl(name: str, value: int | str | None = None) -> str:
    """Reads `net.…` in this thread's namespace, or writes it where `value` is given; what stands there afterwards.

    Raises UsageError for what is not per namespace, and where this namespace was not made by the lab; MachineError
    where this kernel has no such sysctl, with since when there is one.
    """
    if value is not None:
        check_sysctl(name)
        if linux.network_namespace() not in _made:
            raise UsageError(f"{name}: the lab writes sysctls only inside namespaces that it made")
    if not has_sysctl(name):
        raise MachineError(sysctls.why_missing(name))
    path = _path(name)
    if value is not None:
        try:
            with open(path, "w", encoding="ascii") as stream:
                stream.write(str(value))
        except PermissionError as error:
            raise UsageError(f"{name} can't be written in a network namespace of this kernel") from error
    with open(path, encoding="ascii") as stream:
        return stream.read().strip()


def has_sysctl(name: str) -> bool:
    """Whether this thread's namespace has `net.…`: kernels differ, and some are built without."""
    return os.path.exists(_path(name))


def _path(name: str) -> str:
    return "/proc/sys/" + name.replace(".", "/")


def veth(left: LabNamespace, left_name: str, right: LabNamespace, right_name: str) -> None:
    """A veth pair between two namespaces, both ends up, offloads off."""
    with left.entered():
        links.add_veth(left_name, right_name, right.fileno())
    for space, name in ((left, left_name), (right, right_name)):
        with space.entered():
            links.set_up(name)
            linux.offloads_off(name)
