"""The table of `--once`: no line is longer than the terminal is wide, and what finds no room goes on beneath."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.live.stories import snapshot, story

from estab.live.arrange import ListenerFilter, arranged
from estab.live.model import Model
from estab.live.plain import PIPE_WIDTH, render
from estab.live.view import HostView


def view(*, namespaces: int = 1) -> HostView:
    model = Model()
    for taken in story():
        others = [snapshot(taken.taken_at_s, netns=f"web{n}", inode=n + 2) for n in range(1, namespaces)]
        shown = model.feed([taken, *others])
    return shown


def lines(shown: HostView, width: int) -> list[str]:
    out = io.StringIO()
    render(shown, arranged(shown.rows, ListenerFilter()), Console(file=out, width=width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 160, 250])
@pytest.mark.parametrize("namespaces", [1, 2])
def test_no_line_is_longer_than_the_terminal_is_wide(
    monkeypatch: pytest.MonkeyPatch, width: int, namespaces: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = lines(view(namespaces=namespaces), width)
    assert max(map(cell_len, shown)) <= width
    assert all(line == line.rstrip() for line in shown)


def test_what_finds_no_room_goes_on_beneath_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Verdict accept_queue_overflow The accept queue of 0.0.0.0:8080 is full now: 17 wait, 17 fit."
    monkeypatch.setenv("COLUMNS", "60")
    narrow = lines(view(), 60)
    assert said in " ".join(" ".join(narrow).split())
    begins = next(number for number, line in enumerate(narrow) if line.startswith("Verdict"))
    assert narrow[begins + 1].startswith(" " * len("Verdict    ") + "0.0.0.0:8080 is full")


def test_a_pipe_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = lines(view(), 20)
    assert max(map(cell_len, shown)) <= PIPE_WIDTH
    assert any(line.startswith("Verdict") and line.endswith("9.0 s apart.)") for line in shown)
