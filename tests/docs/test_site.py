"""The site builds with every warning an error, and asks nobody for anything."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.generate.causes import title_of
from tests.docs.pages import DOCS, ROOT

from estab.diagnose.suspects import CAUSES

LOADS = re.compile(
    r"<(?:(?:script|img|iframe|source)\b[^>]*\bsrc|link\b(?![^>]*canonical)[^>]*\bhref)=[\"']?((?:https?:)?//[^\"'\s>]+)",
    re.IGNORECASE,
)


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(built)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"^WARNING", done.stderr, re.MULTILINE)
    return built


def test_every_page_is_there(site: Path) -> None:
    wanted = {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}
    assert {name for name in wanted if not (site / name).exists()} == set()
    assert not (site / "generate").exists()


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    found = {}
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        found[page.name] = LOADS.findall(text)
    assert len(found) > 40
    assert {name: urls for name, urls in found.items() if urls} == {}


def test_style_of_ours_fetches_nothing(site: Path) -> None:
    assert "url(" not in (site / "style.css").read_text(encoding="utf-8")


def test_search_knows_the_causes(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "causes/cookie_reset.html" in index
    assert "cannot assign requested address" in index


@pytest.mark.parametrize("word", ["CLOSE_WAIT", "EAGAIN", "502", "504", "ECONNRESET", "EPIPE", "ETIMEDOUT", "EMFILE"])
def test_search_finds_what_people_see(site: Path, word: str) -> None:
    """As a word of its own: the index parts them at white space and hyphens."""
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {
        page["location"] for page in index["docs"]
        if re.search(rf"(?<![\w-]){word}(?![\w-])", re.sub(r"<[^>]+>", "", page["title"] + " " + page["text"]))
    }  # fmt: skip
    assert any(place.startswith(("errors.html", "causes/")) for place in found), found


def test_navigation_leads_to_every_cause_by_its_title(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    for cause in CAUSES:
        link = re.search(rf'href="causes/{cause.id}\.html"[^>]*>(.*?)</a>', page, re.DOTALL)
        assert link, cause.id
        assert title_of(cause) in html.unescape(link[1])
