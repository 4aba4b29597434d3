"""One browser for all pages: to start it takes two seconds of a processor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.browser.pages import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")  # not longer: no other loop of asyncio runs as long as it is there
def browser() -> Iterator[Browser]:
    with chromium() as chrome:
        yield chrome
