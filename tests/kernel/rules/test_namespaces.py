"""The helper itself: what it refuses, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import time

import pytest
from tests import namespaces as ns
from tests.kernel.rules import packets

pytestmark = pytest.mark.namespace


def test_what_happens_inside_stays_inside() -> None:
    before = os.stat("/proc/self/ns/net").st_ino
    inside = ns.in_namespace(lambda: os.stat("/proc/self/ns/net").st_ino, sysctls={"net.core.somaxconn": 7})
    assert inside != before == os.stat("/proc/self/ns/net").st_ino


def test_sysctls_are_not_written_outside() -> None:
    with pytest.raises(RuntimeError, match="only inside a namespace"):
        ns.sysctl("net.core.somaxconn", 7)


def test_packets_are_not_made_outside() -> None:
    with pytest.raises(RuntimeError, match="only inside a namespace"):
        packets.raw_socket()


def test_a_failure_brings_its_traceback() -> None:
    with pytest.raises(ns.ChildFailed, match="ZeroDivisionError"):
        ns.in_namespace(lambda: 1 // 0)


def test_without_permission_it_fails_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        prctl = staticmethod(lambda *_: 0)
        unshare = staticmethod(lambda _: -1)

    monkeypatch.setattr(ns, "_libc", Refusing)
    with pytest.raises(ns.NamespaceRefused, match=r"need a network namespace\. Run them as root"):
        ns.in_namespace(lambda: None)


def test_a_child_that_hangs_is_killed() -> None:
    child = ns.start_in_namespace(signal.pause)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="was killed"):
        child.result(timeout_s=0.05)
    assert time.monotonic() - start < 5
    child.stop()


def test_a_child_that_dies_says_so() -> None:
    with pytest.raises(ns.ChildFailed, match="died without a word"):
        ns.start_child(lambda: os._exit(3)).result()


def test_two_namespaces_joined() -> None:
    def measure() -> str:
        left, right = ns.Namespace(), ns.Namespace()
        ns.joined(left, "10.3.0.1/24", right, "10.3.0.2/24")
        with right.entered():
            return ns.run("ip", "-br", "address", "show", "veth1")

    assert "10.3.0.2/24" in ns.in_namespace(measure)
