"""Rules 17 and 22 against the kernel that runs here: which sysctls its version has, and what they begin with."""

from __future__ import annotations

import pytest
from tests import namespaces as ns
from tests.kernel.rules.kernel_probes import KERNEL, has_sysctl

from estab.kernel.rules import syn_retries, time_wait

pytestmark = pytest.mark.namespace


def of_a_new_namespace(name: str) -> int:
    return int(ns.in_namespace(lambda: ns.sysctl(f"net.ipv4.{name}")))


def test_rule_17_linear_timeouts_by_default() -> None:
    there = of_a_new_namespace("tcp_syn_linear_timeouts") if has_sysctl("tcp_syn_linear_timeouts") else 0
    assert syn_retries.default_linear_timeouts(KERNEL) == there


def test_rule_22_the_delay_is_exact_where_it_can_be_set() -> None:
    there = has_sysctl("tcp_tw_reuse_delay")
    assert time_wait.reuse_after_s(KERNEL, 300).exact is there
    if there:
        assert of_a_new_namespace("tcp_tw_reuse_delay") == time_wait.DEFAULT_REUSE_DELAY_MS
