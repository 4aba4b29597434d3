"""One kernel of another age, booted as a process: some rules and scenarios, on each run of the tests.

`make test-kernels` asks more kernels more. Where the kernel can't be had, the test says which package is missing.
"""

from __future__ import annotations

import pytest
from tests.kernels import catalogue, results, table
from tests.kernels.__main__ import cache
from tests.kernels.apt import Apt, CannotHave
from tests.kernels.catalogue import UML, Kernel
from tests.kernels.runs import Part, Runs

SUITE = "bookworm"
RULES = "rule_1_ or rules_4_ or rule_13_"  # those that wait for nothing
SCENARIOS = ("healthy", "nobody_listening")
_SECONDS = 300.0


@pytest.fixture(scope="module")
def kernel() -> tuple[Apt, Kernel]:
    apt = Apt(cache(), (SUITE,))
    try:
        apt.update()
        return apt, next(kernel for kernel in catalogue.available(apt) if kernel.kind == UML)
    except CannotHave as why:
        pytest.skip(f"user-mode-linux of Debian's {SUITE} can't be had: {why}")


@pytest.mark.namespace
def test_user_mode_linux_does_as_the_rules_say(kernel: tuple[Apt, Kernel]) -> None:
    apt, booted = kernel
    part = Part(booted, ("-k", RULES), SCENARIOS, _SECONDS)
    with Runs(apt, cache(), 1, print) as runs:
        (run,) = runs.all([part])
    assert results.as_predicted([run]), "\n".join(table.lines([run]))
    assert {"1", "4", "7", "13"} == run.rules.keys()
    assert run.scenarios.keys() == set(SCENARIOS)
