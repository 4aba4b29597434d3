"""Reports for tests: runs with everything recorded, written to files, and what is read out of a drawn page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.pages import Opened
from tests.diagnose import runs

from estab.api import report
from estab.api.files import diagnose, save_run
from estab.records import Failure, RunResult, Spread

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "<script>alert(1)</script></script><img src=x onerror=alert(2)>\"'&"


def full(points: int = 31, **fields: Any) -> RunResult:
    """An overflow of which everything was recorded: states at both ends, ghosts, failures by kind, latency."""
    base = runs.overflowed()
    timeline = [
        base.timeline[i % 31].replace(
            t_s=i / 10,
            requests=i,
            failed=i,
            listen_overflows=30 * i,
            listen_drops=30 * i,
            listener_drops=30 * i,
            failures={"connect own_timeout": i, "read ECONNRESET": i // 2} if i else None,
            client_states={"ESTAB": 60 + i, "SYN-SENT": 340 - i} if i % 2 else None,
            server_states={"ESTAB": 40, "LISTEN": 1, "SYN-RECV": 3} if i % 2 else None,
            connect_us=Spread(over_s=0.3, count=5, p50=40.0 + i, p90=70, p99=900, max=1_003_000)
            if i % 3 == 0
            else None,
        )
        for i in range(points)
    ]
    failures = [runs.failure("connect", "own_timeout", 327, 3.001), runs.failure("read", "ECONNRESET", 15)]
    return diagnose(base.replace(**{"timeline": timeline, "failures": failures, **fields}))


def hostile() -> RunResult:
    """A run in which every text that comes from elsewhere is an attack."""
    run = full()
    worst = Failure(phase=HOSTILE, errno=HOSTILE, count=7, first_s=0.1, example=HOSTILE)
    points = [point.replace(failures={f"{HOSTILE} {HOSTILE}": 7}, client_states={HOSTILE: 3}) for point in run.timeline]
    assert run.diagnosis is not None
    accused = [
        suspect.replace(
            summary=HOSTILE,
            evidence=[fact.replace(text=HOSTILE, source=HOSTILE) for fact in suspect.evidence],
            remedies=[remedy.replace(command=HOSTILE, why=HOSTILE) for remedy in suspect.remedies],
        )
        for suspect in run.diagnosis.suspects
    ]
    return run.replace(
        host=run.host.replace(hostname=HOSTILE, kernel=HOSTILE, machine=HOSTILE),
        config={**run.config, "target": HOSTILE, HOSTILE: HOSTILE},
        failures=[worst],
        timeline=points,
        engine=HOSTILE,
        diagnosis=run.diagnosis.replace(summary=HOSTILE, suspects=accused),
    )


def written(folder: Path, **named: RunResult) -> Path:
    """The page about runs that are saved by their names."""
    files = []
    for name, run in named.items():
        files.append(folder / f"{name}.json")
        save_run(run, files[-1])
    page = folder / "report.html"
    page.write_text(report.html(report.material(files)), encoding="utf-8")
    return page


def drawn(opened: Opened) -> Page:
    """The page once every plot that is in sight is drawn."""
    opened.page.wait_for_function(
        "() => [...document.querySelectorAll('.canvas')].filter(e => e.clientWidth)"
        ".every(e => e.dataset.drawn === 'yes' && e.querySelector('svg'))"
    )
    return opened.page


def rows_of(page: Page, plot: str, table: str) -> int:
    """How many rows of a table the plot's Vega view holds."""
    rows: int = page.evaluate(
        "([plot, table]) => document.getElementById(plot).querySelector('.canvas').view.data(table).length",
        [plot, table],
    )
    return rows
