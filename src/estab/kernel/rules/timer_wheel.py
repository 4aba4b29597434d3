"""How late the kernel's timers are: the wheel rounds every wait up, the more the longer it is.

Part of rule 17 of docs/kernel.md. Source: `kernel/time/timer.c`, `LVL_START`, `calc_index`, since 4.8.
"""

from __future__ import annotations

from math import ceil

from estab.kernel.rules.inputs import at_least, within
from estab.kernel.rules.interval import Interval
from estab.kernel.rules.kernel_version import KernelVersion
from estab.records import HostFacts

_SLOTS = 63  # LVL_SIZE - 1: a level starts where the one below has used its 64 buckets
_SHIFT = 3  # LVL_CLK_SHIFT: each level is eight times as coarse
_LEVELS = 9  # LVL_DEPTH for HZ > 100; 8 at HZ=100, which no wait here reaches
_OLD_SLACK = 256  # before 4.8 a timer might be put off by 1/256 of its wait (`apply_slack`)

HZ = 250  # CONFIG_HZ where it is not known: Debian, Ubuntu and most clouds; Red Hat and Arch have 1000, UML 100
_HZ_LEAST, _HZ_MOST = 12, 12_287  # `include/linux/jiffies.h SHIFT_HZ`


def hz_of(host: HostFacts | None) -> int:
    """A host's CONFIG_HZ, as its record says; 250 where it does not, or where it says what no kernel has.

    Source: `include/linux/jiffies.h SHIFT_HZ`; `kernel/Kconfig.hz` (docs/kernel.md rule 17).
    """
    told = host.hz if host is not None else None
    return told if told is not None and _HZ_LEAST <= told <= _HZ_MOST else HZ


def granularity_s(wait_s: float, hz: int = HZ) -> float:
    """By how much a timer set `wait_s` (0 or more) ahead may be late, in seconds: one bucket of its level.

    At HZ=250: 4 ms below 252 ms, 32 ms below 2.016 s, 256 ms below 16.128 s, 2.048 s below 129 s.
    Raises RuleInputError below 0 or for an HZ that no Linux has, 12 to 12,287.
    Source: `kernel/time/timer.c calc_wheel_index` (docs/kernel.md rule 17).
    """
    at_least("wait_s", wait_s, 0)
    within("hz", hz, _HZ_LEAST, _HZ_MOST)
    jiffies = ceil(wait_s * hz)
    level = next((n for n in range(_LEVELS - 1) if jiffies < _SLOTS << (n * _SHIFT)), _LEVELS - 1)
    return (1 << (level * _SHIFT)) / hz


def wait(wait_s: float, hz: int = HZ, kernel: KernelVersion | None = None) -> Interval:
    """When a timer set `wait_s` seconds ahead runs: never before, and one bucket and one tick later at the most.

    The load of the machine comes on top. `kernel` None: 4.8 or later.
    Source: `kernel/time/timer.c calc_index`, before 4.8 `apply_slack` (docs/kernel.md rule 17).
    """
    late = granularity_s(wait_s, hz)
    if kernel is not None and not kernel.at_least(4, 8):
        late = max(1 / hz, wait_s / _OLD_SLACK)
    return Interval(low=wait_s, high=wait_s + late + 1 / hz)
