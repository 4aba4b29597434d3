"""Probes in words."""

from __future__ import annotations

import pytest
from tests.diagnose import probes, runs

from estab.records import NotTried, Probes
from estab.report.probes import probe_rows

MIXED = probes.from_ports("..l.x" * 12, "4x", "9.").source_ports


@pytest.mark.parametrize(
    ("told", "rows"),
    [
        (
            probes.other_port("r", target="xx", ping=probes.NO_PING),
            [
                ("another port", "5001 refused after 200 us while 250 were open; the target did not"),
                ("ping", "no answer (one before)"),
            ],
        ),
        (
            probes.other_port("x", target=".."),
            [
                (
                    "another port",
                    "5001 gave no answer in 2.50 s while 250 were open (refused after 200 us before); "
                    "the target answered too",
                )
            ],
        ),
        (
            probes.with_beside(Probes(), "rrl"),
            [("another port", "5001 refused after 200 us; the target answered too; 1 of 3 more lost a SYN")],
        ),
        (Probes(ping=probes.PING), [("ping", "answered after 300 us")]),
        (probes.from_ports("." * 60), [("source ports", "60 of 60 got through (100%)")]),
        (
            Probes(source_ports=MIXED),
            [("source ports", "48 of 60 got through (80%); of 2 tried again 1 fared otherwise; 12 at a later SYN")],
        ),
        (Probes(not_tried=[NotTried(probe="sizes", why="none was given")]), [("by size", "not tried: none was given")]),
    ],
)
def test_each_in_a_line(told: Probes, rows: list[tuple[str, str]]) -> None:
    *said, (name, bounds) = probe_rows(runs.run(probes=told))
    assert said == rows
    assert name == "in all"
    assert bounds.endswith("in 0.0 s")


def test_sizes() -> None:
    def said(probe: object) -> str:
        return dict(probe_rows(runs.run(probes=Probes(), size_probe=probe)))["by size"]

    assert said(probes.border(1200)) == "packets of up to 1,200 bytes pass, of 1,201 none does (requests)"
    assert said(probes.small_lost()) == "a request in small segments was not acknowledged"
    passes = probes.border(1200).replace(passes_bytes=None, full_acknowledged=True, full_answered=True)
    assert said(passes) == "packets of up to 1,500 bytes pass"
    assert said(passes.replace(full_bytes=204)).endswith("no size was tried")
    assert said(passes.replace(small_answered=False, full_answered=False)).endswith("which did not answer")
    assert said(passes.replace(full_acknowledged=False)) == "small segments pass, whole ones (1,500 bytes) do not"


def test_no_probes_say_nothing() -> None:
    assert list(probe_rows(runs.run())) == []
