"""The sysctls that decide how many TCP connections there can be, read from /proc/sys."""

from __future__ import annotations

from collections.abc import Iterable

from estab.errors import MachineError
from estab.kernel.formats import sysctl
from estab.kernel.rules.sysctls import why_missing
from estab.observe.gaps import Gaps

_IPV4 = (
    "ip_local_port_range",
    "ip_local_reserved_ports",
    "tcp_max_syn_backlog",
    "tcp_syncookies",
    "tcp_abort_on_overflow",
    "tcp_tw_reuse",
    "tcp_tw_reuse_delay",
    "tcp_max_tw_buckets",
    "tcp_syn_retries",
    "tcp_synack_retries",
    "tcp_syn_linear_timeouts",
    "tcp_timestamps",
    "tcp_fin_timeout",
    "tcp_rto_max_ms",
    "tcp_max_orphans",
    "tcp_mem",
    "tcp_rmem",
    "tcp_wmem",
)
NAMES = (
    "net.core.somaxconn",
    "net.core.netdev_max_backlog",
    *(f"net.ipv4.{name}" for name in _IPV4),
    "fs.nr_open",
    "fs.file-max",
    "fs.file-nr",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
)


# They say what is; the others what was set.
CHANGING = ("fs.file-nr", "net.netfilter.nf_conntrack_count")
SET = tuple(name for name in NAMES if name not in CHANGING)


def read(gaps: Gaps, names: Iterable[str] | None = None) -> dict[str, list[int] | str]:
    """Each of `names` (all of `NAMES`) as this thread's network namespace has it. One that is missing is absent and
    noted in `gaps`.
    """
    values: dict[str, list[int] | str] = {}
    for name in NAMES if names is None else names:
        value = gaps.read(f"sysctls.{name}", lambda name=name: read_one(name))  # type: ignore[misc]
        if value is not None:
            values[name] = value
    return values


def read_one(name: str) -> list[int] | str:
    """The sysctl of this dotted name.

    Raises MachineError where this kernel has none, OSError where it can't be read, ParseError where it is not text.
    """
    try:
        with open("/proc/sys/" + name.replace(".", "/"), "rb") as file:
            return sysctl.parse_value(file.read())
    except FileNotFoundError as error:
        raise MachineError(why_missing(name)) from error
