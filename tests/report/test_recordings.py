"""A recording's page: bands, marks and lines of an hour with three incidents; a night of any length in bounded size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.pages import Opened, chromium
from tests.diagnose import runs
from tests.diagnose.test_episodes import CALM, FULL, other, recording
from tests.diagnose.test_snapshots import listener
from tests.report.html_pages import HOSTILE, drawn, rows_of

from estab.api import report
from estab.errors import UsageError
from estab.recording.writer import RecordingDirectory
from estab.records import Snapshot
from estab.report.html import thinned
from estab.report.html.subject import Material
from estab.report.html.thinned import Thinned, fewer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.xdist_group("pages")  # what draws them is made once a process

OUT_OF_DESCRIPTORS = listener(depth=1, fds=1024)
LOOKS = recording(
    [
        *[CALM] * 20,
        *[FULL] * 3,
        *[CALM] * 20,
        *[OUT_OF_DESCRIPTORS] * 2,
        *[CALM] * 30,
        *[FULL.replace(drops=999)] * 60,
        CALM,
        other(10, inode=8),
        CALM,
    ]
)


def written(path: Path, looks: list[Snapshot]) -> str:
    with RecordingDirectory(str(path), keep_s=1e9, max_bytes=100 << 20) as into:
        for taken in looks:
            into.write([taken])
    return str(path)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("night"), LOOKS)


@pytest.fixture(scope="module")
def page(night: str) -> Path:
    path = Path(night) / "report.html"
    path.write_text(report.html(report.material([night])), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Any:
    with chromium() as chrome:
        yield chrome


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Page:
    """For pages that one test opens."""
    return browser.new_page()


@pytest.fixture(scope="module")
def kept(browser: Browser, page: Path) -> Any:
    """The page on a wide screen: for tests that leave it as it is."""
    with Opened(browser.new_page(), page) as opened:
        yield opened


@pytest.fixture(scope="module")
def shown(kept: Opened) -> Page:
    return drawn(kept)


def at_peace(opened: Opened, width: int) -> None:
    """Drawn without a complaint, in the width that there is, whatever the colours."""
    shown = drawn(opened)
    for scheme in ("light", "dark", "light"):
        shown.emulate_media(color_scheme=scheme)
        assert (opened.complaints, opened.asked) == ([], [])
        assert shown.evaluate("document.documentElement.scrollWidth") == width
        assert [text for text in shown.locator(".canvas svg text").all_text_contents() if "…" in text] == []


def test_it_opens_in_peace(kept: Opened) -> None:
    at_peace(kept, 1280)


def test_it_opens_in_peace_on_a_phone_in_the_dark(tab: Page, page: Path) -> None:
    with Opened(tab, page, width=400, color_scheme="dark") as opened:
        at_peace(opened, 400)


def test_every_episode_is_a_band_and_the_restart_a_mark(shown: Page) -> None:
    assert rows_of(shown, "run0-episodes", "episodes") == 3
    assert shown.locator("#run0-episodes .mark-rect path").count() == 3
    assert shown.locator("#run0-episodes .mark-symbol path").count() == 1
    assert shown.locator("#run0-episodes .legend li").all_text_contents() == [
        "accept_queue_overflow 2",
        "server_open_files 1",
    ]
    # Behind the queue: both overflows in one colour, the other cause in another, and a line at the restart.
    assert shown.locator("#run0-queue .mark-rect path").count() == 3
    assert (
        len(
            set(
                shown.locator("#run0-queue .mark-rect path").evaluate_all("all => all.map(e => e.getAttribute('fill'))")
            )
        )
        == 2
    )
    assert shown.locator("#run0-queue .mark-rule line").count() >= 1
    assert shown.locator("h1").inner_text() == "3 episodes: accept_queue_overflow 2, server_open_files 1"


def test_times_are_clock_times(shown: Page) -> None:
    said = shown.locator("#run0-of-episodes table").inner_text()
    assert "02:01:14 to 02:02:14" in said
    assert "restarted 02:02:16" in said
    assert any(text.startswith("02:0") for text in shown.locator("#run0-queue svg text").all_text_contents())
    utc = shown.evaluate("document.querySelector('#run0-queue .canvas').view.data('queue').map(r => r.utc)")
    assert utc[0] == "1970-01-01 02:00:00"


def test_a_part_of_the_time(night: str) -> None:
    (part,) = report.material([night], since="02:00:30", until="02:01:00").subjects
    assert part.episodes is not None
    assert [each.cause for each in part.episodes.episodes] == ["server_open_files"]
    with pytest.raises(UsageError, match="no snapshot was taken"):
        report.material([night], since="1971-01-01")


def test_as_markdown(night: str) -> None:
    text = report.markdown(report.material([night]))
    assert "**3 episodes: accept\\_queue\\_overflow 2, server\\_open\\_files 1**" in text
    assert "| 02:01:14 to 02:02:14 | accept\\_queue\\_overflow |" in text


def test_what_a_recording_says_is_text(tab: Page, tmp_path: Path) -> None:
    hostile = [
        taken.replace(
            host=taken.host.replace(hostname=HOSTILE),
            listeners=[
                each.replace(owners=[owner.replace(name=HOSTILE) for owner in each.owners or ()])
                for each in taken.listeners or ()
            ],
        )
        for taken in LOOKS
    ]
    path = tmp_path / "page.html"
    path.write_text(report.html(report.material([written(tmp_path / "x", hostile)])), encoding="utf-8")
    with Opened(tab, path) as opened:
        shown = drawn(opened)
        assert (opened.complaints, opened.asked, opened.alerts) == ([], [], [])
        assert shown.locator("img").count() == 0


def test_where_nothing_was_recorded_is_said(tmp_path: Path) -> None:
    from estab.report.html.page import all_plots

    gap = [
        taken.replace(taken_at_s=taken.taken_at_s + (600 if number > 70 else 0)) for number, taken in enumerate(LOOKS)
    ]
    (subject,) = report.material([written(tmp_path, gap)]).subjects
    queue = next(plot for plot in all_plots(subject) if plot.name == "queue")
    assert "Grey: nothing was recorded." in queue.caption
    assert len(next(table for table in queue.tables if table.name == "gaps")) == 1


def test_of_several_namespaces_that_in_trouble_is_drawn(tmp_path: Path) -> None:
    looks = [
        each
        for taken in LOOKS
        for each in (taken.replace(host=taken.host.replace(netns_inode=5), netns="box", listeners=[CALM]), taken)
    ]
    made = report.material([written(tmp_path, looks)])
    assert made.subjects[0].other_namespaces == 1
    assert made.subjects[0].snapshots[0].netns is None
    assert "1 other is judged and not drawn" in made.notes[0]


# -- thinning ---------------------------------------------------------------------------------------------------------


def seen(at: int) -> Snapshot:
    """A second of a night in which a queue is full for one second, and drops ten packets then."""
    full = at == 20_001
    lost = 10 if at >= 20_001 else 0
    return runs.snapshot(
        taken_at_s=float(at),
        listeners=[listener(depth=512 if full else 0, drops=lost)],
        counters={"TcpExt.ListenOverflows": lost, "Udp.InDatagrams": at},
    )


def test_a_night_is_thinned_and_its_worst_second_stays() -> None:
    night = Thinned()
    assert sum(1 for _taken in night.through(map(seen, range(28_800)))) == 28_800
    (kept,) = night.kept.values()
    looks = kept.all()
    assert thinned.MOST / 2 <= len(looks) <= thinned.MOST
    assert (looks[-1].taken_at_s, kept.newest) == (28_799.0, seen(28_799))
    (deepest,) = [taken for taken in looks if (taken.listeners or [listener()])[0].depth == 512]
    assert deepest.taken_at_s >= 20_001 > deepest.taken_at_s - kept.looks
    assert looks[-1].counters == {"TcpExt.ListenOverflows": 10}
    assert [taken.taken_at_s for taken in fewer(looks, 4)][-1] == 28_799.0


def test_a_listener_that_closed_within_a_step_is_there() -> None:
    gone = [seen(0).replace(listeners=[listener(depth=9)]), seen(1).replace(listeners=[])]
    (both,) = fewer(gone, 2)
    assert [each.depth for each in both.listeners or ()] == [9]


def test_a_long_night_makes_a_page_of_bounded_size(tmp_path: Path) -> None:
    (subject,) = report.material([written(tmp_path, LOOKS)]).subjects
    ports = [listener(depth=3).replace(port=80 + number, inode=number) for number in range(20)]
    many = [
        seen(at).replace(listeners=ports, states={state: 12_345 for state in ("ESTAB", "TIME-WAIT", "SYN-RECV")})
        for at in range(thinned.MOST)
    ]
    html = report.html(Material(subjects=[replace(subject, snapshots=many)]))
    assert len(html.encode()) < 2_000_000
    assert json.loads(html.partition('id="tables">')[2].partition("</script>")[0])
