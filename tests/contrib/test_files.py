"""The files of contrib/, held against promtool, systemd and what the exporter shows."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import calls
from tests.test_documents import command_lines

from estab.cli.app import app
from estab.diagnose.suspects import BY_ID
from estab.report.prometheus import OwnCost, families

ROOT = Path(__file__).resolve().parents[2]
CONTRIB = ROOT / "contrib"
RULES = CONTRIB / "prometheus" / "estab.rules.yml"
RULES_TEXT = RULES.read_text(encoding="utf-8")
BOARD = json.loads((CONTRIB / "grafana" / "estab.json").read_text(encoding="utf-8"))
UNITS = {
    "estab export": CONTRIB / "systemd" / "estab-export.service",
    "estab record": CONTRIB / "systemd" / "estab-record.service",
}
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt-get install prometheus")
systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="none: apt-get install systemd")


def run(*command: str | Path, folder: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def exported() -> set[str]:
    """The names of all metrics, as rules and dashboard write them."""
    suffix = {"counter": "_total", "info": "_info"}
    return {
        family.name + suffix.get(family.type, "") for family in families([], OwnCost({}, {}, {}), "0", most_listeners=1)
    }


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\bestab_\w+", text))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in BOARD["panels"] if panel["type"] != "row"]


@promtool
def test_the_rules_are_rules() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", RULES)


@promtool
def test_the_scrape_configuration_is_one(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(CONTRIB / "prometheus" / "scrape.yml", tmp_path)
    assert "SUCCESS" in run("promtool", "check", "config", "scrape.yml", folder=tmp_path)


def test_every_alert_says_what_to_do_next() -> None:
    rules = RULES_TEXT.split("- alert: ")[1:]
    assert len(rules) >= 10
    for rule in rules:
        assert "`estab diagnose`" in rule.partition("runbook:")[2], rule


def test_runbook_urls_lead_to_the_pages_of_causes() -> None:
    urls = re.findall(r"runbook_url: \"(.+)\"", RULES_TEXT)
    assert len(urls) == RULES_TEXT.count("- alert: ") - 1, "all but that of the exporter itself"
    for url in urls:
        base, _, page = url.rpartition("causes/")
        assert base == "{{ with $externalLabels.runbooks }}{{ . }}/{{ end }}"
        cause = page.removesuffix(".html")
        assert cause == "{{ $labels.cause }}" or cause in BY_ID


def test_the_causes_that_runbooks_name_are_causes_with_a_page() -> None:
    causes = BY_ID.keys()
    named = {word for word in re.findall(r"[a-z]+(?:_[a-z]+)+", RULES_TEXT) if word in causes}
    assert named >= {"server_open_files", "conntrack_full_local", "path_flow_table_full"}
    assert causes <= {path.stem for path in (ROOT / "docs" / "causes").glob("*.md")}


def test_rules_and_dashboard_name_no_metric_that_is_not_exported() -> None:
    assert (named_in(json.dumps(BOARD)) | named_in(RULES_TEXT)) - exported() == set()


def test_what_the_readme_names_is_exported_and_the_other_way_round() -> None:
    text = (CONTRIB / "README.md").read_text(encoding="utf-8")
    named = {name for name in named_in(text) if not name.endswith("_")}
    assert named == {name for name in exported() if name.startswith("estab_")}


def test_panels_have_titles_units_and_ids_of_their_own() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert all(panel["title"] and panel["targets"] for panel in panels())
    assert all("unit" in panel["fieldConfig"]["defaults"] for panel in panels())


def test_panels_do_not_overlap_and_fit_the_width() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_names_no_data_source_of_its_author() -> None:
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


@systemd
@pytest.mark.parametrize("command", UNITS)
def test_systemd_takes_the_unit(command: str, tmp_path: Path) -> None:
    text = UNITS[command].read_text(encoding="utf-8")
    assert f"ExecStart=/usr/local/bin/{command} " in text
    unit = tmp_path / UNITS[command].name
    unit.write_text(text.replace("/usr/local/bin/estab", str(Path(sys.executable).with_name("estab"))), "utf-8")
    own = "--recursive-errors=no"  # not what is wrong with other units of this host
    assert run("systemd-analyze", "verify", own, unit) == ""


@systemd
@pytest.mark.parametrize("command", UNITS)
def test_the_unit_is_hardened(command: str) -> None:
    said = run("systemd-analyze", "security", "--offline=yes", "--no-pager", UNITS[command])
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) < 3.0


README_LINES = command_lines((CONTRIB / "README.md").read_text(encoding="utf-8"))
README_CALLS = [call for line in README_LINES for call in calls(line)]


@pytest.mark.parametrize("call", README_CALLS, ids=shlex.join)
def test_command_lines_of_the_readme_parse(call: list[str]) -> None:
    app.parse_args(call[: call.index(">")] if ">" in call else call, print_error=False, exit_on_error=False)


def test_files_that_the_readme_links_are_there_and_all_are_linked() -> None:
    text = (CONTRIB / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)\s]+)\)", text))
    there = {str(path.relative_to(CONTRIB)) for path in CONTRIB.rglob("*") if path.is_file()}
    assert linked == there - {"README.md"}


def test_what_the_daemon_set_runs_is_a_command() -> None:
    said = re.search(r"args: (\[.*\])", (CONTRIB / "kubernetes" / "estab-export.yml").read_text(encoding="utf-8"))
    assert said is not None
    call = [word.replace("$(NODE_IP)", "10.0.0.5") for word in json.loads(said[1])]
    app.parse_args(call, print_error=False, exit_on_error=False)
