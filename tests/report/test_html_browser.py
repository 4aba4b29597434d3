"""The report in a real browser: no complaint, nothing asked of a network, every point drawn, every file right."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.pages import Opened, chromium
from tests.diagnose import runs
from tests.report.html_pages import HOSTILE, drawn, full, hostile, rows_of, written

from estab.api import report
from estab.api.files import diagnose, load_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.xdist_group("pages")  # what draws them is made once a process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture(scope="module")
def single_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("one"), run=full())


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Page:
    """For pages that one test opens."""
    return browser.new_page()


@pytest.fixture(scope="module")
def single(browser: Browser, single_run: Path) -> Iterator[Opened]:
    """The page of that run on a wide screen: for tests that leave it as it is. To load and draw it is dear."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    with Opened(context.new_page(), single_run) as opened:
        yield opened


@pytest.fixture(scope="module")
def single_page(single: Opened) -> Page:
    return drawn(single)


def wide(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def ground(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(21, 24, 28)"


def at_peace(opened: Opened, width: int) -> None:
    """Drawn without a complaint, in the width that there is, in the colours of the system, which may change."""
    page = drawn(opened)
    for scheme, colour in (("light", LIGHT), ("dark", DARK), ("light", LIGHT)):
        page.emulate_media(color_scheme=scheme)
        assert ground(page) == colour
        assert (opened.complaints, opened.asked) == ([], [])
        assert wide(page) == width


def test_it_opens_in_peace(single: Opened) -> None:
    at_peace(single, 1280)


def test_it_opens_in_peace_on_a_phone_in_the_dark(tab: Page, single_run: Path) -> None:
    with Opened(tab, single_run, width=400, color_scheme="dark") as opened:
        page = drawn(opened)
        assert ground(page) == DARK
        texts = page.locator(".canvas svg text").all_text_contents()
        assert any("own_timeout" in text for text in texts)
        assert [text for text in texts if "…" in text] == []
        at_peace(opened, 400)


def test_every_plot_is_there_with_its_points(single_page: Page) -> None:
    run = full()
    with_states = [point for point in run.timeline if point.client_states]
    expected = {
        ("funnel", "funnel"): 5,
        ("states_client", "states"): len(with_states),
        ("states_server", "states"): len(with_states),
        ("queue", "queue"): len(run.timeline),
        ("counters", "queue"): len(run.timeline),
        ("failures", "failures"): 2 * len(run.timeline),
        ("syns", "syn_rule"): 3,
        ("percentiles", "percentiles"): 4,
        ("latency", "latency"): sum(point.connect_us is not None for point in run.timeline),
    }
    page = single_page
    rows = {pair: rows_of(page, f"run0-{pair[0]}", pair[1]) for pair in expected}
    assert rows == expected
    # Stacked at the client: ESTAB that both have, ghosts, SYN-SENT.
    areas = page.locator("#run0-states_client .mark-area path").count()
    assert areas == 3
    assert page.locator("#run0-failures .mark-line path").count() == 2


def test_the_ghosts_are_what_the_ends_differ_by(single_page: Page) -> None:
    rows = single_page.evaluate(
        "document.querySelector('#run0-states_client .canvas').view.data('states').map(r => [r.t_s, r.ghosts])"
    )
    expected = [[point.t_s, point.client_states["ESTAB"] - 40] for point in full().timeline if point.client_states]
    assert rows == expected


def downloaded(page: Page, selector: str) -> str:
    with page.expect_download() as waited:
        page.locator(selector).first.click()
    return Path(waited.value.path()).read_bytes().decode()


def number(text: str) -> float | None:
    return float(text) if text else None


def test_downloaded_data_equals_the_run(single_page: Page, single_run: Path) -> None:
    run = full()
    rows = list(csv.DictReader(io.StringIO(downloaded(single_page, "#run0-queue [data-as=csv]"), newline="")))
    names = ("t_s", "queue_depth", "queue_limit", "listen_overflows", "listen_drops", "listener_drops")
    expected = [{name: getattr(point, name) for name in names} for point in run.timeline]
    assert [{name: number(row[name]) for name in names} for row in rows] == expected
    failures = json.loads(downloaded(single_page, "#run0-failures [data-as=json]"))
    counted = {(row["t_s"], row["failure"]): row["count"] for row in failures}
    assert counted == {
        (point.t_s, kind): (point.failures or {}).get(kind, 0)
        for point in run.timeline
        for kind in ("connect own_timeout", "read ECONNRESET")
    }
    assert downloaded(single_page, "[data-file]") == (single_run.parent / "run.json").read_text()


FORMULA = '=SUM(A1) "b", c'


@pytest.fixture(scope="module")
def attacked(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The page of a run whose texts are attacks; at first a queue was not read, and a failure is named as a formula."""
    run = hostile()
    first = run.timeline[0].replace(queue_depth=None, listen_overflows=0, failures={FORMULA: 2})
    path = written(tmp_path_factory.mktemp("hostile"), run=run.replace(timeline=[first, *run.timeline[1:]]))
    with Opened(browser.new_page(), path) as opened:
        yield opened


def test_a_csv_file_is_text_and_what_was_not_recorded_is_no_zero(attacked: Opened) -> None:
    """RFC 4180; a whole number has no fraction, None is an empty cell, a formula has an apostrophe before it."""
    page = drawn(attacked)
    queue, failures = (
        list(csv.DictReader(io.StringIO(downloaded(page, f"#run0-{name} [data-as=csv]"), newline="")))
        for name in ("queue", "failures")
    )
    assert (queue[0]["t_s"], queue[0]["queue_depth"], queue[0]["listen_overflows"]) == ("0", "", "0")
    assert queue[1]["t_s"] == "0.1"
    counts = {row["failure"]: row["count"] for row in failures if row["t_s"] == "0"}
    assert counts == {f"'{FORMULA}": "2", f"{HOSTILE} {HOSTILE}": "0"}


def test_nothing_in_a_record_is_run(attacked: Opened) -> None:
    page = drawn(attacked)
    assert (attacked.complaints, attacked.asked, attacked.alerts) == ([], [], [])
    assert page.locator("img").count() == 0
    assert "<script>alert(1)</script>" in page.locator(".verdict").inner_text()


def test_the_toggle_goes_round_and_is_remembered(single_page: Page) -> None:
    seen = []
    for _ in range(3):
        single_page.locator("#theme").click()
        remembered = single_page.evaluate("localStorage.estabTheme")
        seen.append((single_page.locator("#theme").inner_text(), remembered, ground(single_page)))
    assert seen == [("Light", "light", LIGHT), ("Dark", "dark", DARK), ("Auto", "auto", LIGHT)]


def test_before_and_after_on_screen_and_on_paper(tab: Page, tmp_path: Path) -> None:
    path = written(tmp_path, before=full(), after=diagnose(runs.run(timeline=full().timeline)))
    with Opened(tab, path, color_scheme="dark") as opened:
        page = drawn(opened)
        assert "no cause is left" in page.locator("h1").first.inner_text()
        assert page.locator("#all-open .mark-line path").count() == 2
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        drawn(opened)
        assert ground(page) == LIGHT
        assert page.locator("details:not([open])").count() == 0
        undrawn = page.evaluate("[...document.querySelectorAll('.canvas')].filter(e => !e.querySelector('svg')).length")
        assert undrawn == 0
        assert not page.locator("#theme").is_visible()
        assert len(page.pdf()) > 20_000
        assert opened.complaints == []


def test_a_sweep_has_a_dot_a_size(tab: Page, tmp_path: Path) -> None:
    sizes = {
        f"size{n}": diagnose(runs.run(config={"connections": n}, funnel=runs.funnel(n, min(n, 250))))
        for n in (100, 200, 400)
    }
    with Opened(tab, written(tmp_path, **sizes), width=400) as opened:
        page = drawn(opened)
        view = "document.querySelector('#all-sweep .canvas').view.data('sweep').map(r => [r.size, r.reached])"
        assert page.evaluate(view) == [[100, 100], [200, 200], [400, 250]]
        assert page.locator("#all-sweep .mark-symbol path").count() == 3
        assert wide(page) == 400


@pytest.mark.parametrize("shape", ["no timeline", "nothing attempted", "a million", "lost snapshots"])
def test_odd_runs_make_a_page(tab: Page, tmp_path: Path, shape: str) -> None:
    million = 1_000_000
    odd = {
        "no timeline": runs.overflowed(timeline=[]),
        "nothing attempted": runs.run(funnel=runs.funnel(0, 0), syn_retransmits={}, timeline=[]),
        "a million": full(
            2000, funnel=runs.funnel(million, million), failures=[runs.failure("connect", "EMFILE", million)]
        ),
        "lost snapshots": runs.run(client={"before": None, "after": None}, server=runs.remote()),
    }[shape]
    path = written(tmp_path, run=diagnose(odd))
    assert path.stat().st_size < 2_000_000
    with Opened(tab, path, width=400) as opened:
        page = drawn(opened)
        assert opened.complaints == []
        assert wide(page) == 400
        assert "undefined" not in page.locator("main").inner_text()
        assert "NaN" not in page.locator("main").inner_text()


def test_a_library_user_writes_a_page(tmp_path: Path) -> None:
    import estab

    estab.write_report([full(), runs.run()], tmp_path / "two.html")
    assert "no cause" in (tmp_path / "two.html").read_text(encoding="utf-8")


def test_it_is_read_back_from_its_file(tmp_path: Path) -> None:
    written(tmp_path, run=full())
    made = report.material([tmp_path / "run.json"])
    assert made.subjects[0].run == load_run(tmp_path / "run.json")


def test_navigation_leads_to_what_is_there_and_opens_a_run(tab: Page, tmp_path: Path) -> None:
    with Opened(tab, written(tmp_path, a=full(), b=full(), c=full())) as opened:
        page = drawn(opened)
        links = page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href').slice(1))")
        assert links == ["run0", "run1", "run2"]
        page.locator("nav a").nth(1).click()
        page.wait_for_function("() => document.getElementById('run1').open")
        assert not page.evaluate("document.getElementById('run0').open")
        ids = page.locator("[id]").evaluate_all("places => places.map(place => place.id)")
        assert len(ids) == len(set(ids))


def test_it_is_copied_as_markdown(single_page: Page) -> None:
    page = single_page
    links = page.locator("nav a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert len(links) > 5
    assert [link for link in links if page.locator(link).count() != 1] == []
    text = page.evaluate("JSON.parse(document.getElementById('markdown').textContent)")
    assert text.startswith(r"🔴 **accept\_queue\_overflow**, at the server")
    page.locator("#copy").click()
    page.wait_for_function("() => document.getElementById('copy').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == text


def test_values_stand_beside_the_pointer(single_page: Page) -> None:
    page = single_page
    assert not page.locator("#tip").is_visible()
    bar = page.locator("#run0-funnel .mark-rect path").nth(5)
    bar.scroll_into_view_if_needed()
    bar.hover()
    page.wait_for_function("() => !document.getElementById('tip').hidden")
    assert "stage  " in page.locator("#tip").inner_text()
    page.mouse.move(0, 0)
    page.wait_for_function("() => document.getElementById('tip').hidden")
