"""One kernel of another age, booted as a process: some rules and scenarios, in `make test-long`.

`make test-kernels` asks more kernels more. `make test-long` fetches the kernel first, for tests have no network.
"""

from __future__ import annotations

import pytest
from tests.kernels import catalogue, results, table
from tests.kernels.__main__ import cache
from tests.kernels.apt import Apt
from tests.kernels.catalogue import Kernel
from tests.kernels.runs import Part, Runs

RULES = "rule_1_ or rules_4_"  # those that wait for nothing
SCENARIOS = ("nobody_listening",)
_SECONDS = 300.0


@pytest.fixture(scope="module")
def kernel() -> tuple[Apt, Kernel]:
    apt = Apt(cache(), (catalogue.OF_THE_TESTS,))
    if not apt.has_lists:
        pytest.skip(
            "user-mode-linux was not fetched: `python -m tests.kernels --fetch` does, or says why it can't be had"
        )
    return apt, catalogue.of_the_tests(apt)


@pytest.mark.long
@pytest.mark.namespace
def test_user_mode_linux_does_as_the_rules_say(kernel: tuple[Apt, Kernel]) -> None:
    apt, booted = kernel
    part = Part(booted, ("-k", RULES), SCENARIOS, _SECONDS)
    with Runs(apt, cache(), 1, print) as runs:
        (run,) = runs.all([part])
    assert results.as_predicted([run]), "\n".join(table.lines([run]))
    assert {"1", "4", "7"} == run.rules.keys()
    assert run.scenarios.keys() == set(SCENARIOS)
