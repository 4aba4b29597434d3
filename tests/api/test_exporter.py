"""The exporter's parts without HTTP: what is kept between scrapes, and what a past overflow leaves."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.namespaces import in_namespace, until

from estab.api.exporter import scrape
from estab.api.exporter.namespace import NamespaceWatch
from estab.api.exporter.scrape import ExportScope, Scrapes
from estab.diagnose.suspects import CAUSES
from estab.errors import UsageError
from estab.observe import netns, processes
from estab.records import ServiceName
from estab.report.prometheus import NamespaceMetrics

PORT = 8080


def values(text: bytes) -> dict[str, list[float]]:
    """By name, of all labels; those of listeners only for the port of these tests."""
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for one in family.samples:
            if one.labels.get("port", str(PORT)) == str(PORT):
                found.setdefault(one.name, []).append(one.value)
    return found


class Server:
    """Listens with room for four, and accepts when it is told to."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._listener = self._stack.enter_context(socket.create_server(("127.0.0.1", PORT), backlog=3))
        self._listener.setblocking(False)

    def come(self, count: int) -> None:
        for _ in range(count):
            client = self._stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", PORT))

    def accept_all(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()

    def close(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def served() -> Iterator[Server]:
    with contextlib.closing(Server()) as server:
        yield server


def a_peak_between_two_scrapes() -> dict[str, list[float]]:
    with served() as server, Scrapes(ExportScope(), 15.0) as scrapes:
        scrapes.begin()
        server.come(3)
        scrapes.sample()
        server.accept_all()
        return values(scrapes.text())


@pytest.mark.namespace
def test_a_peak_between_two_scrapes_is_not_lost() -> None:
    seen = in_namespace(a_peak_between_two_scrapes)
    assert seen["estab_listener_queue_depth"] == [0]
    assert seen["estab_listener_queue_worst_depth"] == [3]
    assert seen["estab_listener_queue_limit"] == [3]
    assert seen["estab_listener_full_seconds_total"] == [0]


def looks_at_an_overflow() -> list[tuple[str | None, int | None]]:
    """The cause and the worst depth: before, while it overflows, and once that has left the window."""
    watch = NamespaceWatch(None, 2.0, 10)
    found: list[tuple[str | None, int | None]] = []

    def look() -> tuple[str | None, int | None]:
        view: NamespaceMetrics = watch.look()
        assert view.snapshot is not None
        assert view.snapshot.listeners is not None
        assert view.diagnosis is not None
        return view.diagnosis.cause, view.snapshot.listeners[0].worst_depth

    with served() as server:

        def drained() -> tuple[str | None, int | None]:
            server.accept_all()  # who was turned away comes again after a second
            return look()

        found.append(look())
        server.come(12)
        found.append(look())
        found.append(drained())
        until(lambda: drained() == (None, 0), within_s=10, every_s=0.05, why="what is past has left the window")
        found.append(look())
    watch.close()
    return found


@pytest.mark.namespace
def test_a_past_overflow_is_a_cause_for_as_long_as_the_window_and_not_for_ever() -> None:
    before, full, drained, after = in_namespace(looks_at_an_overflow)
    assert before == (None, 0)
    assert full == ("accept_queue_overflow", 4)
    assert drained == ("accept_queue_overflow", 4), "within the window it still counts"
    assert after == (None, 0)


def test_who_asks_again_at_once_gets_the_same_text() -> None:
    with Scrapes(ExportScope(), 15.0) as scrapes:
        scrapes.begin()
        first = scrapes.text()
        assert scrapes.text() is first
        assert values(first)["estab_observations_total"] == [1]
        until(lambda: scrapes.text() is not first, within_s=10, every_s=0.05, why="a new look is taken")


def other_namespace() -> subprocess.Popen[bytes]:
    """A process in a network namespace of its own, until it is killed."""
    process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 600"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def a_namespace_that_goes() -> list[dict[str, list[float]]]:
    with other_namespace() as process, Scrapes(ExportScope((str(process.pid),)), 15.0) as scrapes:
        scrapes.begin()
        found = [values(scrapes.text())]
        process.kill()
        process.wait()
        last = scrapes.text()
        until(lambda: scrapes.text() is not last, within_s=10, every_s=0.05)
        found.append(values(scrapes.text()))
    return found


@pytest.mark.namespace
def test_a_namespace_that_goes_is_missing_and_the_others_stay() -> None:
    both, one = in_namespace(a_namespace_that_goes)
    assert both["estab_observation_success"] == [1, 1]
    assert len(both["estab_cause"]) == 2 * len(CAUSES)
    assert one["estab_observation_success"] == [1, 0]
    assert one["estab_observation_errors_total"] == [0, 1]
    assert len(one["estab_cause"]) == len(CAUSES)


def test_a_namespace_that_never_was_is_said_at_once() -> None:
    with (
        Scrapes(ExportScope(("no-such-namespace",)), 15.0) as scrapes,
        pytest.raises(UsageError, match="no-such-namespace"),
    ):
        scrapes.begin()


def descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")


def test_nothing_is_left_open() -> None:
    before: Any = descriptors()
    with Scrapes(ExportScope(), 15.0) as scrapes:
        scrapes.begin()
        scrapes.sample()
        scrapes.text()
    assert descriptors() == before


@pytest.mark.namespace
def test_every_namespace_is_looked_into_and_those_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three more namespaces two are looked into; one of a pod is called by its name, and so are its owners."""
    pod = ServiceName(container="web", container_id="3f5a" * 16, pod="shop/web-0")

    def work() -> bytes:
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(other_namespace()) for _ in range(3)]
            for process in others:
                stack.callback(process.kill)
            found = [netns.find(str(process.pid)) for process in others]
            spaces = [netns.own(), found[0].replace(name="shop/web-0"), *found[1:]]
            monkeypatch.setattr(netns, "find_all", lambda: netns.Namespaces(namespaces=spaces, hidden=0))
            monkeypatch.setattr(processes, "service_of", lambda *_: pod)
            monkeypatch.setattr(scrape, "MOST_NAMESPACES", 2)
            scrapes = stack.enter_context(Scrapes(ExportScope(all_netns=True), 15.0))
            stack.enter_context(served())
            scrapes.begin()
            return scrapes.text()

    text = in_namespace(work).decode()
    looked = re.findall(r'estab_observation_success\{namespace="([^"]+)"\} 1', text)
    assert looked[:2] == ["own", "shop/web-0"]
    assert len(looked) == 3
    assert "\nestab_namespaces_other 1.0\n" in text
    (owner,) = re.findall(r"estab_listener_owner_info\{(.*)\} 1", text)
    assert f'namespace="own",pod="shop/web-0",port="{PORT}"' in owner
    assert 'container="web"' in owner


def test_without_a_search_no_namespaces_are_beyond_it() -> None:
    def work() -> bytes:
        with Scrapes(ExportScope(), 15.0) as scrapes:
            scrapes.begin()
            return scrapes.text()

    assert "\nestab_namespaces_other " not in in_namespace(work).decode()
