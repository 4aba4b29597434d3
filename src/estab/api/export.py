"""`export`: this host's listeners, limits and causes for Prometheus, over HTTP or once as text."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from estab.api.exporter.http import Http
from estab.api.exporter.scrape import ExportScope, Scrapes
from estab.load.conductor import Stop
from estab.load.plan import check_range
from estab.load.target import parse_listen

LISTEN = "127.0.0.1:9816"
WINDOW_S, ONCE_S = 15.0, 1.0
_SAMPLE_EVERY_S = 0.1
# A sample costs less than a millisecond; where it costs more, there are fewer.
_SAMPLE_SHARE = 0.02


DEFAULT_SCOPE = ExportScope()


@dataclass(frozen=True)
class Serving:
    """Where the exporter answers, and what it can't see, as `namespace: field: why`."""

    url: str
    unseen: list[str]


def export(
    listen: str = LISTEN,
    *,
    window_s: float = WINDOW_S,
    scope: ExportScope = DEFAULT_SCOPE,
    stop: Stop | None = None,
    serving: Callable[[Serving], None] | None = None,
) -> None:
    """Answers `GET /metrics` at `listen` (HOST:PORT, [IPv6]:PORT; port 0: any free one) until `stop`.

    `window_s`: how long the judgement and the worst depth look back, 0.1 to 3600 seconds; where scrapes come further
    apart, to the scrape before. `serving` is told once it listens. Raises UsageError for what can't be asked,
    MachineError where it can't listen or not enter a namespace.
    """
    host, port = parse_listen(listen)
    scrapes = _scrapes(window_s, scope)
    with scrapes:
        asyncio.run(_serve(Http(host, port), scrapes, stop, serving))


def exposition(
    *,
    window_s: float = ONCE_S,
    scope: ExportScope = DEFAULT_SCOPE,
    stop: Stop | None = None,
) -> bytes | None:
    """The text that `export` would answer, from two looks `window_s` apart; None when `stop` came between.

    Raises as `export`.
    """
    with _scrapes(window_s, scope) as scrapes:
        scrapes.begin()
        ends = time.monotonic() + window_s
        while (left := ends - time.monotonic()) > 0:
            wait_s = min(left, _SAMPLE_EVERY_S)
            if select.select([] if stop is None else [stop], [], [], wait_s)[0]:
                return None
            scrapes.sample()
        return scrapes.text()


def _scrapes(window_s: float, scope: ExportScope) -> Scrapes:
    check_range("window_s", window_s, 0.1, 3600)
    check_range("listeners", scope.listeners, 1, 100_000)
    check_range("targets", scope.targets, 1, 100_000)
    return Scrapes(scope, window_s)


async def _serve(http: Http, scrapes: Scrapes, stop: Stop | None, serving: Callable[[Serving], None] | None) -> None:
    """One thread looks: scrapes and samples never come at once, and a slow look does not keep a client waiting."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    if stop is not None:
        loop.add_reader(stop.fileno(), ended.set)
    with ThreadPoolExecutor(1, thread_name_prefix="estab look") as looker:
        in_thread = partial(loop.run_in_executor, looker)
        try:
            async with http.listening(partial(in_thread, scrapes.text)) as url:
                await in_thread(scrapes.begin)
                if serving is not None:
                    serving(Serving(url, scrapes.unseen()))
                sampling = asyncio.create_task(_sample(partial(in_thread, scrapes.sample)))
                await _first(asyncio.create_task(ended.wait()), sampling)
        finally:
            if stop is not None:
                loop.remove_reader(stop.fileno())


async def _first(*tasks: asyncio.Task[object]) -> None:
    """Waits for the first to end, and ends the others; what it raised is raised."""
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _sample(sample: Callable[[], asyncio.Future[float]]) -> None:
    while True:
        took = await sample()
        await asyncio.sleep(max(_SAMPLE_EVERY_S, took / _SAMPLE_SHARE))
