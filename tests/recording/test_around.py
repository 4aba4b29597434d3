"""Which moments are kept closely: around both ends of an episode, each once, however long it lasts."""

from __future__ import annotations

import pytest

from estab.recording.around import Around

Spans = list[tuple[float, float]]


def decided(*causes: tuple[int, int], until: int = 1_000) -> Spans:
    """What is kept of a recording of seconds, which show a cause from after the first of each pair to the second."""
    around = Around()
    shown = [any(begin < at <= end for begin, end in causes) for at in range(1, until)]
    told = [around.judged(at, at + 1, cause=cause) for at, cause in enumerate(shown)]
    return [span for span in told if span is not None]


@pytest.mark.parametrize(
    ("causes", "spans"),
    [
        ([], []),
        ([(100, 101)], [(40, 160), (41, 161)]),
        ([(100, 700)], [(40, 160), (640, 760)]),
        ([(100, 110), (115, 120)], [(40, 160), (60, 180)]),  # 5 s apart: one episode
        ([(100, 110), (130, 140)], [(40, 160), (50, 170), (70, 190), (80, 200)]),
        ([(990, 1_000)], [(930, 1_050)]),  # its end was not seen
    ],
)
def test_both_ends_are_kept(causes: list[tuple[int, int]], spans: Spans) -> None:
    assert decided(*causes) == spans
