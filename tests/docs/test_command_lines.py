"""Every command line of README.md and the pages runs as it stands, or says why no test runs it; Python too."""

from __future__ import annotations

import importlib
import re
import select
import shlex
import subprocess
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests import namespaces
from tests.docs.pages import ROOT, Block, blocks, calls, documents
from tests.docs.runner import Done, run_page
from tests.forked import forked_call

from estab.cli.app import app
from estab.lab.parts import scenario

PAGES = {block.page: blocks(path) for path in documents() for block in blocks(path)}
# On a scenario's own page stands the line that plays it. tests/lab plays each of them, with more asked of it; so of the
# other pages only what else stands there is run.
OF_SCENARIOS = ("docs/causes/", "docs/scenarios/")
FIELD_REPORTS = "docs/field-reports/"
TRANSLATED = re.compile(r"\.(ja|ko|zh)\.md$")  # with the blocks of the English page
NEED_NOTHING = (["completion"], ["explain"], ["lab", "list"], ["lab", "run"], ["man"])
PLAYED = [["lab", "run", name] for name in scenario.names()]
MOST_NOT_RUN = 0.25
SIDE_BY_SIDE = 3
PAGE_TIMEOUT_S = 300


def with_lines(page: list[Block]) -> list[Block]:
    """The blocks that are run, without the lines that another run shows."""
    earlier: set[tuple[str, tuple[int, ...]]] = set()  # on this page
    found = []
    for block in (block for block in page if block.lines and block.why_not is None):
        left_out = {
            line
            for line in block.lines
            if is_played(block, line)
            or is_run_elsewhere(block, line)
            or is_drawn_elsewhere(block, line)
            or (line, block.statuses) in earlier
        }
        earlier |= {(line, block.statuses) for line in block.lines if loads_only(line)}
        body = "".join(line for line in block.body.splitlines(True) if line.strip().removeprefix("$ ") not in left_out)
        found.append(replace(block, body=body))
    return [block for block in found if block.lines]


def is_played(block: Block, line: str) -> bool:
    """Whether tests/lab plays what the line does. README.md's line is run all the same."""
    return block.page != "README.md" and all(call[:3] in PLAYED and call[3:] in ([], ["-v"]) for call in calls(line))


def is_run_elsewhere(block: Block, line: str) -> bool:
    """Whether it needs nothing of the page, and an earlier page has the same line."""
    return all(call[:1] in NEED_NOTHING or call[:2] in NEED_NOTHING for call in calls(line)) and on_an_earlier_page(
        block, line
    )


def is_drawn_elsewhere(block: Block, line: str) -> bool:
    """Whether it draws the run that a line of this page wrote, and an earlier page has the same line.

    tests/report draws runs of every kind.
    """
    return all(
        call[0] == "report" and any(f"--json {call[1]}" in other for one in PAGES[block.page] for other in one.lines)
        for call in calls(line)
    ) and on_an_earlier_page(block, line)


def on_an_earlier_page(block: Block, line: str) -> bool:
    """Whether a page that is run before has the same line."""
    return any(
        line in other.lines and other.why_not is None
        for name in list(PAGES)[: list(PAGES).index(block.page)]
        if not name.startswith((*OF_SCENARIOS, FIELD_REPORTS)) and not TRANSLATED.search(name)
        for other in PAGES[name]
    )


def loads_only(line: str) -> bool:
    """Whether it loads a server and leaves nothing, so that the same line does the same again."""
    return all(call[0] in ("bench", "churn", "hold", "limits") and "--json" not in call for call in calls(line))


ALL_LINES = [(block, line) for page in PAGES.values() for block in page for line in block.lines]
RUN = sorted(
    name
    for name, page in PAGES.items()
    if with_lines(page) and not name.startswith(OF_SCENARIOS) and not TRANSLATED.search(name)
)


@pytest.mark.parametrize("call", sorted({tuple(call) for _, line in ALL_LINES for call in calls(line)}), ids=shlex.join)
def test_command_line_parses(call: tuple[str, ...]) -> None:
    app.parse_args(list(call), print_error=False, exit_on_error=False)


@pytest.mark.parametrize("name", sorted(name for name in PAGES if name.startswith(OF_SCENARIOS)))
def test_lines_on_a_scenarios_page_are_those_that_the_lab_tests_play(name: str) -> None:
    assert [call for block in PAGES[name] for line in block.lines for call in calls(line) if call not in PLAYED] == []


@pytest.mark.parametrize("name", sorted(filter(TRANSLATED.search, PAGES)))
def test_a_translation_has_the_lines_of_the_page_that_is_run(name: str) -> None:
    page = TRANSLATED.sub(".md", name)
    assert [(block.marker, block.language, block.body) for block in PAGES[name]] == [
        (block.marker, block.language, block.body) for block in PAGES[page]
    ]
    assert (ROOT / name).read_text(encoding="utf-8").count(f"({Path(page).name})") == 1
    assert (ROOT / page).read_text(encoding="utf-8").count(f"({Path(name).name})") == 1


def test_few_lines_are_not_run_and_each_says_why() -> None:
    skipped = [block for block, _ in ALL_LINES if block.why_not is not None]
    assert all(len(block.why_not.split()) >= 3 for block in skipped if block.why_not is not None)
    assert len(skipped) < MOST_NOT_RUN * len(ALL_LINES)


def test_markers_are_of_a_known_kind() -> None:
    markers = {block.marker for page in PAGES.values() for block in page if block.marker}
    assert {one for one in markers if not re.fullmatch(r"not run: .+|exits 1|exits 0 or 1, .+", one)} == set()


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest) -> dict[str, list[Done] | Exception]:
    """What the lines of the wanted pages did. Three pages run side by side: most of their time is waiting."""
    importlib.import_module("estab.report.html.page")  # each page that makes a report would do so again
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted = [item.callspec.params["name"] for item in items if item.originalname == test_command_lines_run.__name__]
    running: dict[str, namespaces.Running] = {}
    found: dict[str, list[Done] | Exception] = {}

    def collect() -> None:
        """The first that is over; where none is in time, the one that began first."""
        over = select.select(list(running.values()), [], [], PAGE_TIMEOUT_S)[0]
        name = next(name for name, child in running.items() if child in over or not over)
        try:
            found[name] = running.pop(name).result(timeout_s=1 if not over else PAGE_TIMEOUT_S)
        except (namespaces.ChildFailed, namespaces.NamespaceRefused, TimeoutError) as error:
            found[name] = error

    for name in sorted(wanted, key=lambda name: -len(with_lines(PAGES[name]))):
        if len(running) == SIDE_BY_SIDE:
            collect()
        running[name] = namespaces.start_child(partial(run_page, with_lines(PAGES[name])))
    while running:
        collect()
    return found


@pytest.mark.namespace
@pytest.mark.parametrize(
    "name", [name if name == "README.md" else pytest.param(name, marks=pytest.mark.long) for name in RUN]
)
def test_command_lines_run(ran: dict[str, list[Done] | Exception], name: str) -> None:
    page, done = with_lines(PAGES[name]), ran[name]
    if isinstance(done, Exception):
        raise done
    wanted = sum(len(block.lines) for block in page)
    assert len(done) >= wanted
    for one in done:
        assert "Traceback" not in one.output, one.output
        assert one.status in one.expected, f"{one.line}: exit {one.status}, not {one.expected}\n{one.output}"
    printed = "\n".join(one.output for one in done)
    for block in page:
        for verdict in re.findall(r"^✗ \S+ \(\w+\):", block.body, re.MULTILINE):
            assert verdict in printed, f"{name} shows {verdict!r}; the lines printed\n{printed}"


@pytest.mark.parametrize(
    "block",
    [block for page in PAGES.values() for block in page if block.language == "python" and "import estab" in block.body],
    ids=lambda block: f"{block.page}: {block.body.splitlines()[2]}",
)
def test_python_runs(block: Block, tmp_path: Path) -> None:
    code = compile(block.body.replace('"127.0.0.1:5000"', "None"), block.page, "exec")

    def run() -> None:
        warnings.simplefilter("error")
        exec(code, {"__name__": "__main__"})

    done = subprocess.run(
        **forked_call(run, "python"), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_lines_on_every_page_that_teaches() -> None:
    for name in ("README.md", "docs/tutorial.md", "docs/errors.md", "docs/sizing.md", "docs/ci.md", "docs/lab.md"):
        assert name in RUN
