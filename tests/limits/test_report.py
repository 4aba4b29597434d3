"""The ladder on the terminal: in its width, in ASCII where need be, and never more than the record says."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from tests.limits.ladders import away, listener, local, snapshot

from estab.diagnose.ladder import ladder
from estab.records import Limits
from estab.report.ladder import render_limits


def printed(found: Limits, width: int = 80, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    render_limits(found, Console(file=file, width=width))
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_width_and_blanks(width: int, encoding: str) -> None:
    for view in (local(), away(why_unobserved="it is elsewhere"), local(target=None)):
        lines = printed(ladder(view), width, encoding).splitlines()
        assert max(map(len, lines)) <= width
        assert all(line == line.rstrip() for line in lines)


def test_the_chain_of_the_issue() -> None:
    said = " ".join(printed(ladder(away())).split())
    assert "client_open_files 19,995 → then ephemeral_ports 28,232 → then conntrack 262,134" in said
    assert "then memory about 1.6 M" in said
    assert "client_open_files (at the client) allows 19,995 more connections" in said
    assert "455 a second" in said


def test_a_limit_that_is_met() -> None:
    limits = ladder(local(snapshot(listeners=[listener(limit=5, depth=6)])))
    assert "accept_queue (at the server) is met: not one connection more" in printed(limits)


def test_why_the_server_was_not_observed() -> None:
    assert "The server's side was not observed: it is elsewhere" in printed(
        ladder(away(why_unobserved="it is elsewhere"))
    )


def test_a_record_from_elsewhere_does_not_move_the_cursor() -> None:
    limits = ladder(away())
    evil = limits.replace(target="\x1b[2Jx", limits=[limits.limits[0].replace(note="\x1b[31m")])
    assert "\x1b" not in printed(evil)
