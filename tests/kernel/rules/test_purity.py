"""The rules do no IO and know no clock; every public name says where its rule comes from."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "src/estab/kernel/rules"
MODULES = sorted(FOLDER.glob("*.py"))
RULES = [path for path in MODULES if path.name not in ("__init__.py", "inputs.py", "interval.py", "kernel_version.py")]
FORBIDDEN = {"os", "socket", "subprocess", "time", "random", "pathlib", "sys", "threading"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_imports_nothing_that_touches_the_world(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & FORBIDDEN
    assert not any(isinstance(node, ast.Name) and node.id == "open" for node in ast.walk(tree))


@pytest.mark.parametrize("path", [path for path in RULES if path.name[0] != "_"], ids=lambda path: path.name)
def test_every_public_function_names_its_source_and_module_its_rules(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert "docs/kernel.md" in (ast.get_docstring(tree) or "")
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            doc = ast.get_docstring(node) or ""
            assert "Source:" in doc, f"{path.name}: {node.name} does not say where its rule comes from"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_functions_fit_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 55, f"{path.name}: {node.name}"


def test_every_rule_of_kernel_md_has_code() -> None:
    import re

    named: set[int] = set()
    for path in MODULES:
        for text in re.findall(r"[Rr]ules? (\d[\d, and to]*\d|\d)", path.read_text()):
            for first, last in re.findall(r"(\d+)(?: to (\d+))?", text):
                named.update(range(int(first), int(last or first) + 1))
    assert set(range(1, 32)) <= named
