"""Whether a program went on to another address where one did not answer. Traced connects tell; no verdict.

A program that tries the addresses of a name one after the other (RFC 8305; `socket.create_connection`) makes, for each
connect that fails, one more to the same port of another address.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.kernel.formats.endpoint import endpoint
from estab.records import Program, ProgramTarget, RunResult
from estab.words import plural


def fell_back(run: RunResult, program: Program) -> str | None:
    """How it did, in a sentence: none to this target got through, and as many to another address did. None: it did not.

    A program that failed itself did not get on so.
    """
    address, port = facts.target_address(run), facts.target_port(run)
    here = next((each for each in program.targets if (each.address, each.port) == (address, port)), None)
    if program.exit or here is None or here.connected or not here.failures:
        return None
    failed = sum(failure.count for failure in here.failures)
    others = [each for each in program.targets if each.port == port and each is not here and _took_over(each, failed)]
    if not others:
        return None
    how = ", ".join(failure.kind.reason for failure in here.failures)
    instead = endpoint(others[0].address, others[0].port)
    return (
        f"{plural(failed, 'connect')} to {endpoint(here.address, here.port)} failed ({how}), and as many to {instead} "
        "got through: it tried one address after the other, and what stops at the first fails."
    )


def _took_over(other: ProgramTarget, failed: int) -> bool:
    return (other.connected or 0) >= failed and not other.failures
