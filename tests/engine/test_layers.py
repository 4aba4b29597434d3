"""The engine's files in C stand in layers: none includes or calls, through others or not, what includes or calls it."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

from tests.engine.build import SOURCES

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", re.DOTALL)
_INCLUDE = re.compile(r'^#include "(.+)"', re.MULTILINE)
_DEFINED = re.compile(r"^(static )?+\w.*?\b(\w+)\([^;{]*\) \{", re.MULTILINE)
_NAME = re.compile(r"\w+")


def _unit(path: Path) -> str:
    """A .c and its .h are one."""
    return str(path.resolve().relative_to(SOURCES).with_suffix(""))


def _needs() -> dict[str, set[str]]:
    """What each file includes, and whose functions it names."""
    paths = [path for path in SOURCES.rglob("*") if path.suffix in (".c", ".h")]
    texts = {path: path.read_text() for path in paths}
    code = {path: _COMMENT.sub(" ", text) for path, text in texts.items()}
    defined = {path: _DEFINED.findall(code[path]) for path in paths if path.suffix == ".c"}
    owner = {name: _unit(path) for path, names in defined.items() for static, name in names if not static}
    assert {"conn_fail", "client_run", "tally_add"} <= owner.keys()
    needs: dict[str, set[str]] = {}
    for path in paths:
        used = {_unit(path.parent / name) for name in _INCLUDE.findall(texts[path])}
        if path.suffix == ".c":
            foreign = set(_NAME.findall(code[path])) - {name for _static, name in defined[path]}
            used |= {owner[name] for name in foreign if name in owner}
        needs.setdefault(_unit(path), set()).update(used - {_unit(path)})
    return needs


def test_no_circle_of_files() -> None:
    TopologicalSorter(_needs()).prepare()  # raises CycleError, which names them


def test_counting_and_the_load_engine_know_nothing_of_each_other() -> None:
    for unit, used in _needs().items():
        counting = unit.startswith("counting/")
        assert unit == "module" or all(name.startswith("counting/") == counting for name in used), unit


def test_only_the_table_knows_the_workloads_by_name() -> None:
    rows = {_unit(path) for path in (SOURCES / "workloads").glob("*.c")} - {"workloads/table"}
    for unit, used in _needs().items():
        assert not used & rows, unit
    for path in SOURCES.rglob("*.c"):
        if path.parent.name != "workloads":
            assert "workload_rr" not in path.read_text(), path
