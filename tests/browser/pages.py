"""Pages in a real Chromium (Debian's): what they say on the console, what they ask of a network, what they draw.

Its headless shell, the same without windows, takes a third of the CPU for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

_QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped where there is none, which CI does not accept."""
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium-headless-shell")
    from playwright.sync_api import sync_playwright

    own = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=[*own, *_QUIET])
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """A page with what it complained of, said in alerts, and asked for. Whatever is not a local file is refused.

    The tab may be another's, which is done with it: a tab of its own costs as much CPU as what it shows.
    """

    def __init__(
        self, tab: Page, path: Path, *, width: int = 1280, color_scheme: Literal["light", "dark"] = "light"
    ) -> None:
        self.complaints: list[str] = []
        self.alerts: list[str] = []
        self.asked: list[str] = []
        self.page = tab
        self._heard: dict[Any, Callable[[Any], None]] = {
            "console": lambda said: self.complaints.append(said.text) if said.type == "error" else None,
            "pageerror": lambda error: self.complaints.append(str(error)),
            "dialog": lambda dialog: (self.alerts.append(dialog.message), dialog.dismiss()),
        }
        for event, hear in self._heard.items():
            tab.on(event, hear)
        tab.route("**/*", self._refuse)
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(media="screen", color_scheme=color_scheme)
        tab.goto(path.as_uri())

    def _refuse(self, route: Route) -> None:
        if route.request.url.startswith("file:"):
            route.continue_()
            return
        self.asked.append(route.request.url)
        route.abort()

    def close(self) -> None:
        self.page.unroute("**/*", self._refuse)
        for event, hear in self._heard.items():
            self.page.remove_listener(event, hear)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
