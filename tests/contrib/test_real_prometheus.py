"""A real Prometheus scrapes `estab export` while an accept queue overflows: the alert fires, and ends again.

Everything runs in one network namespace: the listener, the exporter and Prometheus, each on that namespace's loopback.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.terminal import ESTAB
from tests.namespaces import in_namespace, until

from estab.diagnose.suspects import CAUSES

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
RULES = CONTRIB / "prometheus" / "estab.rules.yml"
DASHBOARD = CONTRIB / "grafana" / "estab.json"
API = "http://127.0.0.1:9090/api/v1/"
PORT = 8080
EVERY_S = 0.1  # Prometheus looks twice a second
pytestmark = [
    pytest.mark.namespace,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus: apt-get install prometheus"),
]


def ask(path: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{API}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        body = json.load(answer)
    assert body["status"] == "success"
    return body["data"]


def value(expression: str) -> float | None:
    samples = ask("query", query=expression)["result"]
    return float(samples[0]["value"][1]) if samples else None


def dashboard_expressions() -> list[str]:
    """What Grafana would ask, with its variables filled in."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked += [annotation["expr"] for annotation in board["annotations"]["list"]]
    variables = {"$__rate_interval": "1m", "$__range": "5m", "$instance": ".*", "$namespace": ".*"}
    for name, text in variables.items():
        asked = [expression.replace(name, text) for expression in asked]
    return asked


def rule_expressions() -> list[str]:
    return [rule["query"] for group in ask("rules")["groups"] for rule in group["rules"]]


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            yield process
        except BaseException as error:
            said.seek(0)
            error.add_note(f"{command[0]} said: {said.read()[-3000:].decode(errors='replace')}")
            raise
        finally:
            process.terminate()
            process.wait(20)


def configured(folder: str) -> str:
    """The configuration of contrib, scraping twice a second."""
    text = (CONTRIB / "prometheus" / "scrape.yml").read_text(encoding="utf-8")
    assert "scrape_interval: 15s" in text
    path = Path(folder) / "prometheus.yml"
    fast = text.replace("scrape_interval: 15s", "scrape_interval: 500ms")
    path.write_text(f"global:\n  evaluation_interval: 500ms\n{fast}", encoding="utf-8")
    shutil.copy(RULES, folder)
    return str(path)


def answers() -> bool:
    try:
        return value('up{job="estab"}') == 1.0
    except (urllib.error.URLError, ConnectionError):
        return False


class Clients:
    """Clients that come one after another, and nobody accepts."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []

    def one_more(self) -> None:
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", PORT))
        self.sockets.append(client)

    def close(self) -> None:
        for client in self.sockets:
            client.close()


def firing(clients: Clients, *names: str) -> list[dict[str, Any]]:
    """Whether all these alerts fire; one more client comes each time it is asked."""
    if len(clients.sockets) < 500:
        clients.one_more()
    alerts = [
        alert
        for alert in ask("alerts")["alerts"]
        if alert["state"] == "firing" and alert["labels"]["alertname"] in names
    ]
    return alerts if {alert["labels"]["alertname"] for alert in alerts} == set(names) else []


def overflow_seen_by_prometheus() -> dict[str, Any]:
    seen: dict[str, Any] = {}
    clients = Clients()
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", PORT), backlog=3) as server,
        contextlib.closing(clients),
        running(ESTAB, "export", "--window", "2s"),
        running(
            "prometheus", f"--config.file={configured(folder)}", f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:9090", "--log.level=warn",
        ),
    ):  # fmt: skip
        until(answers, within_s=30, every_s=EVERY_S, why="Prometheus scrapes estab")
        seen["alerts before"] = ask("alerts")["alerts"]
        alerts: list[dict[str, Any]] = []
        wanted = ("EstabAcceptQueueOverflow", "EstabCause")
        until(lambda: alerts.extend(firing(clients, *wanted)) or alerts, every_s=EVERY_S, within_s=60, why="they fire")
        seen["alerts"] = alerts
        labels = f'{{port="{PORT}"}}'
        for name in ("queue_depth", "queue_limit", "queue_worst_depth", "drops_total", "full_seconds_total"):
            seen[name] = value(f"estab_listener_{name}{labels}")
        seen["causes"] = value("count(estab_cause)")
        seen["metadata"] = {family["metric"] for family in ask("targets/metadata")}
        asked = dashboard_expressions() + rule_expressions()
        seen["asked"] = {expression: len(ask("query", query=expression)["result"]) for expression in asked}
        clients.close()
        server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                server.accept()[0].close()
        until(lambda: value("max(estab_cause)") == 0, every_s=EVERY_S, within_s=30, why="what is past is no cause")
        seen["drops at the end"] = value(f"estab_listener_drops_total{labels}")
    return seen


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    return in_namespace(overflow_seen_by_prometheus, timeout_s=150)


def test_the_alerts_fire_while_the_queue_overflows_and_not_before(seen: dict[str, Any]) -> None:
    assert seen["alerts before"] == []
    by_name = {alert["labels"]["alertname"]: alert for alert in seen["alerts"]}
    assert by_name["EstabCause"]["labels"]["cause"] == "accept_queue_overflow"
    overflow = by_name["EstabAcceptQueueOverflow"]
    assert (overflow["labels"]["address"], overflow["labels"]["port"]) == ("127.0.0.1", str(PORT))
    assert "estab diagnose" in overflow["annotations"]["runbook"]
    assert "{{" not in json.dumps(overflow["annotations"])


def test_the_queue_is_seen_as_it_was(seen: dict[str, Any]) -> None:
    assert (seen["queue_depth"], seen["queue_limit"], seen["queue_worst_depth"]) == (4.0, 3.0, 4.0)
    assert seen["drops_total"] > 0
    assert seen["full_seconds_total"] > 0
    assert seen["causes"] == len(CAUSES)


def test_a_past_overflow_is_no_cause_and_its_drops_stay(seen: dict[str, Any]) -> None:
    assert seen["drops at the end"] >= seen["drops_total"]


def test_every_metric_that_rules_and_dashboard_name_exists(seen: dict[str, Any]) -> None:
    assert len(seen["asked"]) > 30
    named = {name for expression in seen["asked"] for name in re.findall(r"\bestab_\w+", expression)}
    assert named - seen["metadata"] == set()


def test_the_dashboard_shows_the_overflow(seen: dict[str, Any]) -> None:
    results = seen["asked"]
    about = [text for text in results if "estab_listener" in text and "rate" not in text and ">" not in text]
    assert len(about) >= 3
    assert all(results[text] for text in about)
