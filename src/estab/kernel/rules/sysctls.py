"""Why a kernel may lack a sysctl that estab reads or writes, in words: rules 11, 17, 19 and 22 of docs/kernel.md."""

from __future__ import annotations

# The first release whose sources have it; `net/ipv4/sysctl_net_ipv4.c ipv4_net_table`.
_SINCE = {
    "net.ipv4.tcp_syn_linear_timeouts": (6, 5),
    "net.ipv4.tcp_tw_reuse_delay": (6, 14),
    "net.ipv4.tcp_rto_max_ms": (6, 15),
}
# `net/core/sysctl_net_core.c`, `net/ipv4/sysctl_net_ipv4.c`: of the machine, and shown where it is set.
_INITIAL_ALONE = ("net.core.netdev_max_backlog", "net.ipv4.tcp_mem", "net.ipv4.tcp_max_orphans")
_BUILT_WITH = {"net.ipv4.tcp_syncookies": "CONFIG_SYN_COOKIES"}
_MODULES = {"net.netfilter.": "nf_conntrack", "net.ipv6.": "ipv6"}


def why_missing(name: str) -> str:
    """What to say where /proc/sys has no `name`, as net.ipv4.tcp_rto_max_ms: since which Linux there is one.

    Source: `net/ipv4/sysctl_net_ipv4.c`, `net/netfilter/nf_conntrack_standalone.c`.
    """
    missing = f"this kernel has no {name}"
    if name in _SINCE:
        major, minor = _SINCE[name]
        return f"{missing}: it came with Linux {major}.{minor}"
    if name in _INITIAL_ALONE:
        return f"{name} is the machine's, and shown in its initial network namespace alone"
    if name in _BUILT_WITH:
        return f"{missing}: it is built without {_BUILT_WITH[name]}"
    module = next((module for prefix, module in _MODULES.items() if name.startswith(prefix)), None)
    return missing if module is None else f"{missing}: {module} is not built in, or its module is not loaded"
