"""What is kept of connections that get no answer: was what they sent acknowledged, when was the peer heard."""

from __future__ import annotations

import subprocess
import threading

import pytest
from tests import servers
from tests.conformance.counts import failed
from tests.namespaces import in_namespace

import estab
from estab import Service
from estab.records import RunResult

OPTIONS = estab.LoadOptions(timeout_s=0.5)
DROPPED = "table inet cut { chain passing { type filter hook input priority 0; policy accept; tcp dport %s drop\n%s}\n}"


def test_a_server_that_does_not_answer_acknowledges() -> None:
    run = estab.bench(connections=5, duration_s=30, options=OPTIONS.replace(service=Service("sink")))
    assert failed(run) == {("read", "own_timeout"): 5}
    assert run.stalls is not None
    assert (run.stalls.count, run.stalls.unacknowledged, len(run.stalls.sample)) == (5, 0, 5)
    for stall in run.stalls.sample:
        assert (stall.unacked, stall.bytes_received) == (0, 0)
        assert stall.bytes_acked == 64 + 1  # the request, and the SYN
        assert 0 <= stall.heard_s <= stall.at_s
        assert stall.at_s - stall.asked_s >= 0.5
    assert run.connect_after is None


def test_the_first_and_the_last_are_kept() -> None:
    run = estab.churn(
        connections=4,
        attempts=40,
        size_bytes=5,
        options=OPTIONS.replace(timeout_s=0.1, processes=1, service=Service("sink")),
    )
    assert run.stalls is not None
    assert (run.stalls.count, len(run.stalls.sample)) == (40, 16)
    moments = [stall.at_s for stall in run.stalls.sample]
    assert moments == sorted(moments)
    assert moments[7] < moments[8]


def test_none_is_kept_where_all_is_well() -> None:
    run = estab.bench(connections=2, duration_s=0.1, options=OPTIONS)
    assert (run.stalls, run.connect_after) == (None, None)


def _cut_off(way_back: bool) -> RunResult:
    """A bench in a namespace in which all to the server is dropped from some request on, and what it sends as well."""
    served = threading.Event()

    def echo(sock: object) -> None:
        for count, data in enumerate(iter(lambda: sock.recv(4096), b"")):  # type: ignore[attr-defined]
            sock.sendall(data)  # type: ignore[attr-defined]
            if count > 50:
                served.set()

    with servers.side_by_side(echo) as target:

        def drop() -> None:
            served.wait(20)
            port = target.rpartition(":")[2]
            rules = DROPPED % (port, f"tcp sport {port} drop\n" if way_back else "")
            subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

        dropper = threading.Thread(target=drop)
        dropper.start()
        run = estab.bench(target, connections=3, duration_s=30, options=OPTIONS)
        dropper.join()
    return run


@pytest.mark.namespace
def test_what_is_dropped_is_not_acknowledged() -> None:
    run = in_namespace(lambda: _cut_off(way_back=True))
    assert failed(run) == {("read", "own_timeout"): 3}
    assert run.stalls is not None
    assert (run.stalls.count, run.stalls.unacknowledged) == (3, 3)
    for stall in run.stalls.sample:
        assert stall.unacked == 1
        assert stall.retransmits >= 1
        assert stall.bytes_received > 0
        assert stall.heard_s <= stall.asked_s + 0.05
    assert run.connect_after is not None
    assert run.connect_after.errno == "own_timeout"
    assert run.cause == "peer_vanished"


@pytest.mark.namespace
def test_a_peer_that_is_heard_while_what_is_sent_to_it_is_lost() -> None:
    """It repeats its own answers, for no acknowledgement reaches it."""
    run = in_namespace(lambda: _cut_off(way_back=False))
    assert run.stalls is not None
    assert run.stalls.unacknowledged == 3
    assert run.stalls.heard_s > min(stall.asked_s for stall in run.stalls.sample) + 0.3
    assert run.diagnosis is not None
    assert next(each for each in run.diagnosis.suspects if each.cause == "peer_vanished").verdict == "ruled_out"
