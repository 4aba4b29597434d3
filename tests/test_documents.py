"""The documents at the root say what is so: commands, links, paths, command lines and examples."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import calls

import estab
from estab.cli.app import app, commands
from estab.cli.commands import COMMANDS
from estab.diagnose.suspects import BY_ID

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py") if not path.name.startswith("test_"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:src|docs|tests|examples)/[\w./-]+)`")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def command_lines(markdown: str) -> list[str]:
    """Every line of shell in `sh` blocks, and those after a `$ ` in `console` blocks, which also hold output."""
    lines: list[str] = []
    for language, body in FENCE.findall(markdown):
        if language == "sh":
            lines += body.splitlines()
        elif language == "console":
            lines += [line[2:] for line in body.splitlines() if line.startswith("$ ")]
    return lines


def help_examples() -> list[str]:
    docs = [command.default_command.__doc__ or "" for _words, command in commands() if command.default_command]
    return [line for doc in docs for line in re.findall(r"Example: (estab .+)", doc)]


README_CALLS = [call for line in command_lines(text_of("README.md")) for call in calls(line)]
HELP_CALLS = [call for line in help_examples() for call in calls(line)]


def test_shell_lines_are_taken_apart() -> None:
    line = "(ulimit -n 64; ESTAB_ENGINE=python estab serve echo -d 1) & estab hold | head  # estab"
    assert calls(line) == [["serve", "echo", "-d", "1"], ["hold"]]


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_names_the_command(name: str) -> None:
    assert re.search(rf"`estab {name}\b", text_of("README.md"))


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_shows_the_command_at_work(name: str) -> None:
    assert any(call[0] == name for call in README_CALLS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name: str) -> None:
    assert any(call[0] == name for call in HELP_CALLS)


@pytest.mark.parametrize("call", [*README_CALLS, *HELP_CALLS], ids=shlex.join)
def test_command_line_parses(call: list[str]) -> None:
    app.parse_args(call, print_error=False, exit_on_error=False)


def test_readme_leads_to_every_cause() -> None:
    assert "(docs/causes/index.md)" in text_of("README.md")
    named = set(re.findall(r"^\| \[[^]]+\]\((\w+)\.md\) `\1`", text_of("docs/causes/index.md"), re.MULTILINE))
    assert named == BY_ID.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_relative_links_lead_somewhere(name: str) -> None:
    targets = [link.split("#")[0] for link in LINK.findall(text_of(name)) if "://" not in link]
    assert [target for target in targets if target and not (ROOT / target).exists()] == []


def test_paths_of_the_map_exist() -> None:
    after = text_of("ARCHITECTURE.md").partition("\n## Map\n")[2]
    _language, body = FENCE.findall(after)[0]
    paths = [line.split()[0] for line in body.splitlines() if line.strip()]
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [path for path in paths if path.endswith("/") != (ROOT / path).is_dir()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_in_the_text_exist(name: str) -> None:
    """Where a path holds an X for a name that the reader chooses, the folder must exist."""
    found = PATH.findall(text_of(name))
    paths = [path.rpartition("/")[0] if path.endswith(("/X.py", "/X.md", "/test_X.py")) else path for path in found]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_changelog_has_this_version() -> None:
    assert f"## [{estab.__version__}]" in text_of("CHANGELOG.md")


def test_licence_is_whole() -> None:
    text = text_of("LICENSE")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_named_in_the_readme_and_loads(name: str) -> None:
    assert f"(examples/{name})" in text_of("README.md")
    assert callable(runpy.run_path(str(ROOT / "examples" / name), run_name="example")["main"])


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("name_the_limit.py", 1, "cause: accept_queue_overflow"),
        ("backlog_in_ci.py", 0, "500 of 500 connected"),
        ("is_it_slower.py", 0, "passes failures>0"),
    ],
)
def test_example_runs(name: str, status: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert said in done.stdout
    assert done.returncode == status
