"""The kernel that runs here, as scenarios ask their rules about it."""

from __future__ import annotations

from estab.kernel.rules import syn_retries, timer_wheel
from estab.kernel.rules.kernel_version import KernelVersion, of
from estab.lab.process.namespace import has_sysctl
from estab.lab.stage.setup import Sysctls
from estab.observe import host

_LINEAR = "net.ipv4.tcp_syn_linear_timeouts"
_FACTS = host.facts()

KERNEL: KernelVersion = of(_FACTS)
HZ = timer_wheel.hz_of(_FACTS)
# What a new namespace has. By the sysctl, not by the version: a distribution may have brought it back.
LINEAR = syn_retries.LINEAR_TIMEOUTS if has_sysctl(_LINEAR) else 0


def linear_timeouts(number: int) -> Sysctls:
    """tcp_syn_linear_timeouts of a client; nothing is written where 0 is asked of a kernel that has no such sysctl."""
    return ((_LINEAR, number),) if number or LINEAR else ()
