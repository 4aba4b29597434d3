"""On which kernels the rules were measured: the one list of them.

`make test-kernels` boots them; docs/kernel.md has the table. tests/kernels/test_kept.py holds the list against the runs
that are kept. Pure: no IO.
"""

from __future__ import annotations

from estab.kernel.rules.inputs import RuleInputError
from estab.kernel.rules.kernel_version import parse

SERIES = ((5, 10), (6, 1), (6, 12), (6, 17), (6, 18), (7, 2), (7, 3))


def extrapolated(release: str) -> str | None:
    """What to say of rules on the kernel of `release` (`uname -r`), in one line; None on a series that was measured.

    A series between two measured ones may carry either's behaviour, and a distribution its own choice of changes.
    """
    try:
        version = parse(release)
    except RuleInputError:
        return None
    if (version.major, version.minor) in SERIES:
        return None
    measured = ", ".join(f"{major}.{minor}" for major, minor in SERIES)
    return f"Linux {version.major}.{version.minor} was not measured: its rules are extrapolated from {measured}."
