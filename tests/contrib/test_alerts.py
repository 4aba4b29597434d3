"""Each alert with promtool: it fires on what it is for, at the time that it says, and on nothing beside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

RULES = Path(__file__).resolve().parents[2] / "contrib" / "prometheus" / "estab.rules.yml"
pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt-get install prometheus")

HERE = 'instance="web", namespace="own"'
QUEUE = HERE + ', address="0.0.0.0", port="{}", process="nginx"'
Q80, Q81 = QUEUE.format(80), QUEUE.format(81)
TARGET = HERE + ', address="10.0.0.5", port="{}"'


@dataclass(frozen=True)
class Case:
    """`series` every 15 seconds; `firing` at the minutes given are the labels, `quiet` a time at which none fires."""

    alert: str
    series: dict[str, str]
    firing: dict[str, str]
    at: str = "3m"
    quiet: str = "0m"
    severity: str = field(default="critical")


CASES = [
    Case(
        "EstabCause",
        {
            f'estab_cause{{{HERE}, cause="server_open_files", side="server"}}': "0 0 1 1 1 0 0",
            f'estab_cause{{{HERE}, cause="conntrack_full_local", side="path"}}': "0x20",
        },
        {"cause": "server_open_files", "side": "server"},
        at="45s",
        quiet="90s",
    ),
    Case(
        "EstabAcceptQueueOverflow",
        {
            f"estab_listener_drops_total{{{Q80}}}": "7+10x20",
            f"estab_listener_queue_worst_depth{{{Q80}}}": "512x20",
            f"estab_listener_queue_limit{{{Q80}}}": "511x20",
            # Full, and it dropped long ago; another that drops for TCP_DEFER_ACCEPT alone, with room in its queue.
            f"estab_listener_drops_total{{{Q81}}}": "7000x20",
            f"estab_listener_queue_worst_depth{{{Q81}}}": "512x20",
            f"estab_listener_queue_limit{{{Q81}}}": "511x20",
            f"estab_listener_drops_total{{{QUEUE.format(82)}}}": "0+5x20",
            f"estab_listener_queue_worst_depth{{{QUEUE.format(82)}}}": "3x20",
            f"estab_listener_queue_limit{{{QUEUE.format(82)}}}": "511x20",
        },
        {"address": "0.0.0.0", "port": "80", "process": "nginx"},
    ),
    Case(
        "EstabAcceptQueueNearlyFull",
        {
            f"estab_listener_queue_depth{{{Q80}}}": "450x20",
            f"estab_listener_queue_limit{{{Q80}}}": "511x20",
            f"estab_listener_queue_depth{{{Q81}}}": "450 0 450 0 450 0 450 0 450 0 450 0 450 0 450",
            f"estab_listener_queue_limit{{{Q81}}}": "511x20",
        },
        {"address": "0.0.0.0", "port": "80", "process": "nginx"},
        quiet="15s",
        severity="warning",
    ),
    Case(
        "EstabAcceptQueueOftenFull",
        {
            f"estab_listener_full_seconds_total{{{Q80}}}": "0+2x20",
            f"estab_listener_full_seconds_total{{{Q81}}}": "9+0.1x20",
        },
        {"address": "0.0.0.0", "port": "80", "process": "nginx"},
        severity="warning",
    ),
    Case(
        "EstabPortsNearlyUsed",
        {
            f"estab_target_ports_used{{{TARGET.format(443)}}}": "27000x20",
            f"estab_target_ports_limit{{{TARGET.format(443)}}}": "28232x20",
            f"estab_target_ports_used{{{TARGET.format(80)}}}": "20000x20",
            f"estab_target_ports_limit{{{TARGET.format(80)}}}": "28232x20",
        },
        {"address": "10.0.0.5", "port": "443"},
        quiet="30s",
        severity="warning",
    ),
    Case(
        "EstabTimeWaitNearlyFull",
        {
            f'estab_sockets{{{HERE}, state="TIME-WAIT"}}': "130000x20",
            f'estab_sockets{{{HERE}, state="ESTAB"}}': "900000x20",
            f"estab_time_wait_sockets_limit{{{HERE}}}": "131072x20",
        },
        {},
        quiet="30s",
        severity="warning",
    ),
    Case(
        "EstabConntrackNearlyFull",
        {
            f"estab_conntrack_entries{{{HERE}}}": "250000x20",
            f"estab_conntrack_entries_limit{{{HERE}}}": "262144x20",
            'estab_conntrack_entries{instance="db", namespace="own"}': "0x20",
            'estab_conntrack_entries_limit{instance="db", namespace="own"}': "0x20",
        },
        {},
        quiet="30s",
    ),
    Case(
        "EstabConntrackDropped",
        {
            f'estab_conntrack_failures_total{{{HERE}, reason="drop"}}': "50+1x20",
            f'estab_conntrack_failures_total{{{HERE}, reason="early_drop"}}': "0+1x20",
            'estab_conntrack_failures_total{instance="db", namespace="own", reason="drop"}': "50x20",
        },
        {"reason": "drop"},
    ),
    Case(
        "EstabDescriptorsNearlyUsed",
        {
            f'estab_process_open_fds{{{HERE}, process="nginx"}}': "1000x20",
            f'estab_process_max_fds{{{HERE}, process="nginx"}}': "1024x20",
            f'estab_process_open_fds{{{HERE}, process="redis"}}': "1000x20",
            f'estab_process_max_fds{{{HERE}, process="redis"}}': "65536x20",
        },
        {"process": "nginx"},
        quiet="15s",
    ),
    Case(
        "EstabCloudAllowanceExceeded",
        {
            f'estab_nic_allowance_exceeded_packets_total{{{HERE}, device="ens5", allowance="conntrack"}}': "40+3x20",
            f'estab_nic_allowance_exceeded_packets_total{{{HERE}, device="ens5", allowance="bw_in"}}': "90000x20",
        },
        {"device": "ens5", "allowance": "conntrack"},
    ),
    Case(
        "EstabCloudFlowsNearlyUsed",
        {
            f'estab_nic_allowance_available{{{HERE}, device="ens5", allowance="conntrack"}}': "80x20",
            f'estab_nic_allowance_available{{{HERE}, device="ens6", allowance="conntrack"}}': "70000x20",
        },
        {"device": "ens5", "allowance": "conntrack"},
        quiet="30s",
        severity="warning",
    ),
    Case(
        "EstabExporterDown",
        {
            f"estab_observation_success{{{HERE}}}": "0x40",
            'estab_observation_success{instance="db", namespace="own"}': "1x40",
        },
        {},
        at="6m",
        quiet="4m",
        severity="warning",
    ),
]


def expected(case: Case) -> str:
    labels = {
        "alertname": case.alert, "alertstate": "firing", "severity": case.severity,
        "instance": "web", "namespace": "own", **case.firing,
    }  # fmt: skip
    return "ALERTS{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def checked(folder: Path, **test: Any) -> None:
    """One test of promtool's, written as JSON, which is YAML."""
    shutil.copy(RULES, folder)
    file = folder / "test.yml"
    whole = {"rule_files": [RULES.name], "evaluation_interval": "15s", "tests": [{"interval": "15s", **test}]}
    file.write_text(json.dumps(whole), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", file.name], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_it_fires_on_what_it_is_for_alone(case: Case, tmp_path: Path) -> None:
    firing = f'ALERTS{{alertname="{case.alert}", alertstate="firing"}}'
    checked(
        tmp_path,
        input_series=[{"series": name, "values": values} for name, values in case.series.items()],
        promql_expr_test=[
            {"expr": firing, "eval_time": case.at, "exp_samples": [{"labels": expected(case), "value": 1}]},
            {"expr": firing, "eval_time": case.quiet, "exp_samples": []},
        ],
    )


def test_what_it_says_names_the_listener_and_the_next_step(tmp_path: Path) -> None:
    labels = {
        "severity": "critical", "instance": "web", "namespace": "own", "address": "0.0.0.0", "port": "80",
        "process": "nginx",
    }  # fmt: skip
    annotations = {
        "summary": "nginx on web turns connections away",
        "description": "The accept queue of 0.0.0.0 port 80 (namespace own) is full, and 40 packets were dropped there "
        "in the last minute. Clients see timeouts, or connections that the server does not know.",
        "runbook_url": "causes/accept_queue_overflow.html",
        "runbook": "On that host, as root, run `estab diagnose`. It tells a backlog that is too small from a server "
        "that does not accept, has no descriptors left, or is cut by somaxconn: each has another remedy.",
    }
    case = next(case for case in CASES if case.alert == "EstabAcceptQueueOverflow")
    checked(
        tmp_path,
        input_series=[{"series": name, "values": values} for name, values in case.series.items()],
        alert_rule_test=[
            {
                "alertname": case.alert,
                "eval_time": "2m",
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
            }
        ],
    )


def test_every_alert_is_among_the_cases() -> None:
    alerts = re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert [case.alert for case in CASES] == alerts
