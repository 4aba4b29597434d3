"""All connections to one peer fall silent at one moment: figures of Linux 6.18, from a router that then drops all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone
from tests.diagnose.test_snapshots import moment

from estab.diagnose import judge, judge_snapshots
from estab.diagnose.silence import asks_for_connect, silence
from estab.records import ConnectAfter, PeerLook, Program, RunResult, TimelinePoint

UNREACHABLE = ConnectAfter(
    errno="EHOSTUNREACH", waited_s=0.01, said_by="192.0.2.1", said="host unreachable"
)  # by a router
OTHERS_WERE_HEARD = [*[runs.stall()] * 5, *[runs.stall(asked_s=0.8)] * 3]  # their first time-out was 0.2 s
NEVER_ANSWERED = [runs.stall(received=0)] * 8


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (runs.vanished(), "confirmed"),
        (runs.vanished(after=UNREACHABLE), "confirmed"),
        (runs.vanished(server=runs.local()), "confirmed"),  # its sockets are ESTABLISHED, and know nothing
        (runs.vanished(2), "confirmed"),
        (runs.vanished(1), "possible"),
        (runs.vanished(after=None), "not_observed"),
        # The peer is there: by a connect, by a refusal of its own, by an acknowledgement, by what others got.
        (runs.vanished(after=ConnectAfter()), "ruled_out"),
        (runs.vanished(after=ConnectAfter(errno="ECONNREFUSED")), "ruled_out"),
        (runs.vanished(after=UNREACHABLE.replace(errno="ECONNREFUSED", said="port unreachable")), "confirmed"),
        (runs.vanished(unacknowledged=4), "ruled_out"),
        (runs.vanished(unacknowledged=5), "confirmed"),  # three had been acknowledged before
        (runs.vanished(sample=OTHERS_WERE_HEARD), "ruled_out"),
        (runs.vanished(sample=OTHERS_WERE_HEARD[1:7]), "ruled_out"),
        (runs.vanished(sample=OTHERS_WERE_HEARD[:6]), "confirmed"),  # one in six
        (runs.vanished(heard_s=2.3), "ruled_out"),
        # Handshakes passed, and nothing after them: that is another thing.
        (runs.vanished(sample=NEVER_ANSWERED), "possible"),
        (runs.vanished(server=runs.local(deltas=runs.deltas(ListenDrops=9))), "ruled_out"),
        (runs.vanished(stalls=None), "not_observed"),
        (runs.data_lost(), "not_observed"),
        (runs.run(), "ruled_out"),
    ],
)
def test_all_fall_silent_at_once(run: RunResult, expected: str) -> None:
    assert alone("peer_vanished", run).verdict == expected


def _churn(in_flight: int, after: ConnectAfter | None) -> RunResult:
    """churn --rate 50: each connection asks once; from 2 s on none gets an answer."""
    points = [
        TimelinePoint(
            t_s=t / 10, attempted=5 * t, connected=5 * min(t, 20) + in_flight * (t >= 20), first_byte=5 * min(t, 20),
            completed=5 * min(t, 20), failed=0, open=0, requests=5 * min(t, 20),
        )
        for t in range(1, 40)
    ]  # fmt: skip
    failures = [runs.failure("connect", "own_timeout", 90, 3.0)]
    failures += [runs.failure("read", "own_timeout", in_flight, 3.0)] if in_flight else []
    sample = [runs.stall(asked_s=1.99, heard_s=1.98, received=0)] * in_flight
    return runs.vanished(
        in_flight, sample=sample, heard_s=1.98, after=after,
        funnel=runs.funnel(195, 100 + in_flight), failures=failures, timeline=points,
        stalls=None if not in_flight else runs.vanished(in_flight, sample=sample, heard_s=1.98).stalls,
    ).replace(command="churn")  # fmt: skip


SILENT = ConnectAfter(errno="own_timeout", waited_s=2.2)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (_churn(3, SILENT), "confirmed"),
        (_churn(0, SILENT), "possible"),  # a filter of SYNs looks like this
        (_churn(0, ConnectAfter()), "ruled_out"),
        (_churn(3, None), "not_observed"),
    ],
)
def test_connections_that_ask_once(run: RunResult, expected: str) -> None:
    assert alone("peer_vanished", run).verdict == expected


def test_it_is_named_with_the_client_alone_and_says_who_said_so() -> None:
    said = judge(runs.vanished(after=UNREACHABLE))
    assert (said.cause, said.side) == ("peer_vanished", "path")
    assert "Since 1.2 s" in said.summary
    assert "192.0.2.1 says: host unreachable" in said.summary


def test_it_explains_the_loss_and_a_neighbour_that_is_silent_as_well() -> None:
    seen = runs.vanished(server=runs.local())
    said = judge(seen)
    assert said.cause == "peer_vanished"
    loss = next(suspect for suspect in said.suspects if suspect.cause == "path_data_loss")
    assert loss.verdict == "possible"


@pytest.mark.parametrize("cause", ["path_data_loss", "path_mtu_blackhole", "path_idle_timeout", "server_died"])
def test_its_look_alikes_are_not_taken_for_it(cause: str) -> None:
    assert alone("peer_vanished", runs.MET[cause]()).verdict in ("ruled_out", "not_observed")
    assert judge(runs.MET[cause]()).cause == cause


def test_what_is_asked_afterwards() -> None:
    assert asks_for_connect(runs.vanished())
    assert asks_for_connect(_churn(0, None))
    assert not asks_for_connect(runs.vanished(unacknowledged=0))
    assert not asks_for_connect(runs.run())
    assert silence(runs.vanished()).heard_s == 1.2


# From outside -------------------------------------------------------------------------------------------------------


def _look(connections: int = 8, resending: int = 8, *, heard_s: float = 1.2, **fields: Any) -> PeerLook:
    sample = [runs.stall(asked_s=heard_s + 0.1, heard_s=heard_s)] * min(resending, 8)
    values = {"address": "127.0.0.1", "port": 5000, "at_s": 5.0, "heard_s": heard_s, "sample": sample}
    return PeerLook(connections=connections, resending=resending, **{**values, **fields})


def _of_program(*peers: PeerLook, failed: int = 0, looks: int = 50) -> RunResult:
    program = Program(name="wrk", seen="sampled", exit=0, looks=looks, peers=list(peers))
    failures = [runs.failure("connect", "ETIMEDOUT", failed)] if failed else []
    seen = runs.run(server=runs.remote(), failures=failures, funnel=runs.funnel(8 + failed, 8))
    return seen.replace(command="run", program=program)


LONG_BEFORE = [runs.stall(asked_s=0.1), runs.stall()]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (_of_program(_look(), failed=3), "confirmed"),
        (_of_program(_look()), "possible"),  # whether a new connect is answered was not seen
        (_of_program(_look(resending=2), failed=3), "confirmed"),
        (_of_program(_look(resending=1), failed=3), "possible"),
        (_of_program(_look(heard_s=3.01), failed=3), "ruled_out"),
        (_of_program(_look(heard_s=3.0), failed=3), "confirmed"),
        (_of_program(_look(sample=LONG_BEFORE, heard_s=2.5), failed=3), "ruled_out"),  # heard on others meanwhile
        (_of_program(_look(sample=NEVER_ANSWERED), failed=3), "possible"),
        (_of_program(_look(address="192.0.2.9"), failed=3), "ruled_out"),  # another peer
        (_of_program(failed=3), "ruled_out"),
        (_of_program(looks=0), "not_observed"),
    ],
)
def test_of_another_program(run: RunResult, expected: str) -> None:
    suspect = next(each for each in judge(run).suspects if each.cause == "peer_vanished")
    assert suspect.verdict == expected, suspect.summary


@pytest.mark.parametrize(
    ("peers", "expected"),
    [
        (None, "not_observed"),
        ([], "ruled_out"),
        ([_look(at_s=0.0, heard_s=-4.0, sample=[])], "possible"),
        ([_look(at_s=0.0, heard_s=-1.0)], "ruled_out"),
        ([_look(at_s=0.0, heard_s=-1.0), _look(at_s=0.0, heard_s=-4.0, address="192.0.2.7", sample=[])], "possible"),
    ],
)
def test_of_a_host_without_a_run(peers: list[PeerLook] | None, expected: str) -> None:
    said = judge_snapshots(None, moment(silent_peers=peers))
    suspect = next(each for each in said.suspects if each.cause == "peer_vanished")
    assert suspect.verdict == expected
