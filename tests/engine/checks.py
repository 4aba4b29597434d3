"""What has to hold of a worker, whatever failed: it ends, it ends well, and nothing is lost from its counts."""

from __future__ import annotations

from collections.abc import Iterator

from tests.engine.cases import Case
from tests.engine.rig import Outcome

from estab.load.block import DONE, RUNNING


def _phase(outcome: Outcome, *phases: str) -> int:
    return sum(count for (phase, _errno), count in outcome.failures.items() if phase in phases)


def _equal(text: str, left: int, right: int) -> Iterator[str]:
    if left != right:
        yield f"{text}: {left} != {right}"


def _client(outcome: Outcome, case: Case) -> Iterator[str]:
    n = outcome.counts
    yield from _equal(
        "attempted == connected + connect failures + connecting",
        n["attempted"], n["connected"] + _phase(outcome, "connect") + n["connecting"],
    )  # fmt: skip
    yield from _equal(
        "connected == completed + later failures + open",
        n["connected"], n["completed"] + _phase(outcome, "write", "read", "reply", "close") + n["open"],
    )  # fmt: skip
    yield from _equal("connect latencies == connected + unsent", n["connect_count"], n["connected"] + _unsent(case, n))
    if case.work == "churn_rate":
        yield from _equal("scheduled == attempted + unsent", n["scheduled"], n["attempted"] + n["unsent"])
    if case.work == "rate":
        yield from _equal("request latencies == requests + unsent", n["request_count"], n["requests"] + n["unsent"])
    if n["first_byte"] > n["connected"]:
        yield f"first bytes of {n['first_byte']} of {n['connected']} connected"


def _unsent(case: Case, n: dict[str, int]) -> int:
    return n["unsent"] if case.work == "churn_rate" else 0


def _server(outcome: Outcome) -> Iterator[str]:
    n = outcome.counts
    yield from _equal("accepted == closed + open", n["accepted"], n["closed"] + n["open"])
    if n["peer_resets"] > n["accepted"]:
        yield f"{n['peer_resets']} resets of {n['accepted']} accepted"


def _was_hung_up(outcome: Outcome, case: Case) -> bool:
    """A control pipe that cannot be read is one whose other end is gone: the worker then stops at once."""
    return case.call == "read" and case.error == "EIO" and outcome.state == DONE


def problems(outcome: Outcome, case: Case) -> list[str]:
    """What is wrong, a line each."""
    if outcome.end in ("hung", "died"):
        return [f"{outcome.end} {outcome.why}"]
    n = outcome.counts
    found: list[str] = []
    found += _equal("failed == the table's sum", n["failed"], sum(outcome.failures.values()))
    found += _client(outcome, case) if case.role == "client" else _server(outcome)
    for name, count in outcome.seen.items():
        if name in ("descriptors", "blocks", "maps") and count != 0:
            found.append(f"{count} {name} not given back")
    if outcome.end == "refused":
        if outcome.state >= RUNNING:
            found.append(f"refused after its start: {outcome.why}")
        return found
    if case.role == "server" and case.error == "EAGAIN":
        return found  # it was never told that its peers are gone
    if not _was_hung_up(outcome, case) and n["attempted"] + n["accepted"]:
        found += _equal("open at the end", n["open"], 0)
        found += _equal("connecting at the end", n["connecting"], 0)
        found += _equal("state at the end", outcome.state, DONE)
    return found
