"""The table's text: what fits, what is cut, the order, the filter, bars and charts."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from tests.live.stories import listener, snapshot, story

from estab.live import columns
from estab.live.arrange import ORDERS, ListenerFilter, arranged
from estab.live.columns import PlacedColumn, fit, heading, line, where
from estab.live.detail import chart, detail
from estab.live.model import Model
from estab.live.view import HostView, ListenerRow
from estab.observe.process_names import ProcessNames
from estab.records import Listener, Process, ServiceName
from estab.report.layout import ASCII, UNICODE, Glyphs

WEB = ServiceName(unit="web.service")


def view(*, service: ServiceName | None = None, namespaces: int = 1) -> HostView:
    """The end of the story; with a `service` of every owner, seen in so many namespaces."""
    model = Model()
    for taken in story():
        others = [snapshot(taken.taken_at_s, netns=f"web{n}", inode=n + 2) for n in range(1, namespaces)]
        shown = model.feed([taken.replace(listeners=[_of(service, each) for each in taken.listeners or ()]), *others])
    return shown


def _of(service: ServiceName | None, one: Listener) -> Listener:
    owners = [owner.replace(service=service) for owner in one.owners or ()]
    return one.replace(owners=owners or None)


def rows() -> list[ListenerRow]:
    return list(view().rows)


@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 39, 40, 60, 79, 80, 81, 100, 160, 300])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_every_line_fits(width: int, glyphs: Glyphs) -> None:
    placed = fit(width, view(service=WEB, namespaces=2))
    assert placed
    lines = [heading(placed, "state"), *(line(row, placed, glyphs) for row in rows())]
    widths = {sum(cell_len(text) for text, _ in styled) for styled in lines}
    assert len(widths) == 1
    assert max(widths) <= width


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (79, "listener process queue depth worst drops state"),
        (80, "listener process queue depth worst drops fds state"),
        (160, "listener process queue trend depth worst growth drops fds state says"),
        (30, "listener depth"),
    ],
)
def test_what_fits(width: int, names: str) -> None:
    assert " ".join(placed.column.name for placed in fit(width, view())) == names


@pytest.mark.parametrize(
    ("width", "namespaces", "names"),
    [
        (78, 1, "listener process queue depth drops state"),
        (80, 1, "listener process service queue depth drops state"),
        (80, 2, "listener netns process queue depth drops state"),  # named as the container or the pod is
        (95, 1, "listener process service queue depth worst drops fds state"),
        (160, 1, "listener process service queue trend depth worst growth drops fds state says"),
    ],
)
def test_what_fits_where_owners_belong_to_something(width: int, namespaces: int, names: str) -> None:
    shown = view(service=WEB, namespaces=namespaces)
    assert " ".join(placed.column.name for placed in fit(width, shown)) == names


@pytest.mark.parametrize(
    ("service", "width", "text"),
    [
        (ServiceName(unit="nginx.service"), 10, "nginx     "),
        (ServiceName(unit="app@1.socket"), 12, "app@1.socket"),
        (ServiceName(unit="docker.service", container="web", container_id="ab" * 32), 10, "web       "),
        (ServiceName(container_id="0123456789abcdef" * 4), 12, "0123456789ab"),
        (ServiceName(pod="default/web-0", container="nginx"), 14, "default/web-0 "),
        (ServiceName(pod="default/web-0", container="nginx"), 10, "web-0     "),
        (ServiceName(pod="default/web-7d4b9c-x2x8z"), 10, "web-7d4b9…"),
        (ServiceName(), 10, "-         "),
    ],
)
def test_what_an_owner_belongs_to(service: ServiceName, width: int, text: str) -> None:
    (row,) = Model().feed([snapshot(0, listener(80, owners=[Process(pid=1, name="x", service=service)]))]).rows
    belongs = next(column for column in columns.COLUMNS if column.name == "service")
    assert line(row, [PlacedColumn(belongs, width)], UNICODE)[0][0] == text


def test_a_filter_and_an_order_by_what_an_owner_belongs_to() -> None:
    owners = [Process(pid=1, name="x", service=ServiceName(unit=unit)) for unit in ("web.service", "api.service")]
    listening = [listener(port, owners=[owner]) for port, owner in zip((80, 81), owners, strict=True)]
    shown = Model().feed([snapshot(0, *listening)]).rows
    assert [row.port for row in arranged(shown, ListenerFilter(text="api.s"))] == [81]
    assert [row.port for row in arranged(shown, ListenerFilter(), "service")] == [81, 80]


def test_numbers_stand_under_each_other() -> None:
    placed = fit(80, view())
    lines = ["".join(text for text, _ in line(row, placed, UNICODE)).rstrip() for row in rows()]
    assert len({text.index("/") for text in lines if "/" in text}) > 0
    assert "*:8080" in lines[0]
    assert "17/16" in lines[0]
    assert "OVERFLOW" in lines[0]
    assert "…:9000" in lines[2]


@pytest.mark.parametrize(
    ("address", "text"),
    [("0.0.0.0", "*:80"), ("::", "[::]:80"), ("::1", "[::1]:80"), ("10.0.0.1", "10.0.0.1:80"), ("\x1b[2J", " [2J:80")],
)
def test_where(address: str, text: str) -> None:
    assert where(address, 80) == text


@pytest.mark.parametrize(
    ("name", "pid", "others", "width", "text"),
    [
        ("nginx", 4711, 0, 12, "nginx 4711"),
        ("nginx", 4711, 3, 12, "ngi… 4711 +3"),
        ("python3.11", 4194304, 0, 12, "pyt… 4194304"),
        ("gunicorn", 12157, 10, 12, "g… 12157 +10"),
        ("a", 4194304, 100, 8, "… 4194304 +100"),
    ],
)
def test_the_pid_is_whole(name: str, pid: int, others: int, width: int, text: str) -> None:
    owners = [Process(pid=pid + number, name=name) for number in range(others + 1)]
    (row,) = Model().feed([snapshot(0, listener(80, owners=owners))]).rows
    process = next(column for column in columns.COLUMNS if column.name == "process")
    assert process.cell(row, width, UNICODE)[0] == text


def test_the_trend_is_as_high_as_the_queue_is_full() -> None:
    model = Model()
    for second, depth in enumerate((0, 1, 9, 17, 20)):
        (row,) = model.feed([snapshot(second, listener(80, depth, 16))]).rows
    trend = next(column for column in columns.COLUMNS if column.name == "trend")
    assert trend.cell(row, 6, UNICODE) == (" ▁▂▅██", "red")
    assert trend.cell(row, 3, ASCII)[0] == "+##"


@pytest.mark.parametrize(
    ("wanted", "ports"),
    [
        (ListenerFilter(), [443, 5432, 8080, 9000]),
        (ListenerFilter(port=443), [443]),
        (ListenerFilter(process="NGI"), [443]),
        (ListenerFilter(process="4812"), [8080]),
        (ListenerFilter(text=":5432"), [5432]),
        (ListenerFilter(text="999"), [5432]),
        (ListenerFilter(text="python overflow"), [8080]),
        (ListenerFilter(text="2001:db8"), [9000]),
        (ListenerFilter(text="own"), [443, 5432, 8080, 9000]),
        (ListenerFilter(text="nobody"), []),
        (ListenerFilter(port=443, text="python"), []),
    ],
)
def test_filter(wanted: ListenerFilter, ports: list[int]) -> None:
    assert [row.port for row in arranged(rows(), wanted, "listener")] == ports


def test_orders() -> None:
    orders = {by: [row.port for row in arranged(rows(), ListenerFilter(), by)] for by in ORDERS}
    assert orders["state"][0] == orders["queue"][0] == orders["drops"][0] == orders["fds"][0] == 8080
    assert orders["process"] == [9000, 443, 5432, 8080]
    assert [row.port for row in arranged(rows(), ListenerFilter(), "process", backwards=True)] == [
        8080,
        5432,
        443,
        9000,
    ]
    assert all(sorted(ports) == [443, 5432, 8080, 9000] for ports in orders.values())


def test_a_filter_by_namespace() -> None:
    model = Model()
    view = model.feed([snapshot(0, listener(80)), snapshot(0, listener(80), netns="box", inode=2)])
    assert [row.netns for row in arranged(view.rows, ListenerFilter(text="box"))] == ["box"]


def test_chart() -> None:
    assert chart([0, 1, 4, 8, None], 8, 2, UNICODE) == ["   █ ", "▁▂██ "]
    assert chart([0, 1, 4], 4, 2, ASCII) == ["  #", "_##"]
    assert chart([], 4, 2, UNICODE) == ["", ""]


def test_detail_says_it_all() -> None:
    model = Model()
    for taken in story():
        view = model.feed([taken])
    row = next(row for row in view.rows if row.port == 8080)
    names = {
        4812: ProcessNames(
            command_line="python3 app.py --port 8080", user="app", service=ServiceName(unit="app.service")
        )
    }
    text = detail(
        row, model.history(row.key), model.diagnosis_of(row.key), gone=False, width=76, glyphs=UNICODE, names=names
    ).plain
    for words in (
        "*:8080",
        "17 wait, 17 fit (limit 16); worst 17",
        "12 packets a second are turned away",
        "Depth   00:00:00 to 00:00:09 UTC   9 s, 10 looks",
        "python3 4812   descriptors 800 of 1,024",
        "Command    python3 app.py --port 8080",
        "Runs as    user app   unit app.service\n",
        "accept_queue_overflow",
        "What to do",
    ):
        assert words in text
    gone = detail(row, (), None, gone=True, width=10, glyphs=ASCII).plain
    assert "listens no more" in gone
