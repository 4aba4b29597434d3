"""The generated pages are current, and leave nothing out: no command, option, setting, public name or field."""

from __future__ import annotations

import re

import msgspec
import pytest
from docs.generate import pages
from docs.generate.library import all_records
from tests.docs.pages import DOCS

import estab
from estab.cli.app import commands
from estab.cli.commands import COMMANDS
from estab.lab.parts import scenario, settings


def test_generated_pages_are_current_and_none_is_left_of_what_is_gone() -> None:
    generated = pages()
    for name, text in generated.items():
        written = DOCS / name
        assert written.exists(), f"docs/{name} is missing: make docs writes it"
        assert written.read_text(encoding="utf-8") == text, f"docs/{name} is out of date: make docs writes it"
    left = {f"{folder}/{path.name}" for folder in ("commands", "reference") for path in (DOCS / folder).glob("*.md")}
    assert left == {name for name in generated if name.startswith(("commands/", "reference/"))}


def options_of(name: str) -> set[str]:
    """The options that the parser itself knows, those of sub-commands included."""
    return {
        option
        for words, command in commands()
        if words[0] == name
        for argument in command.assemble_argument_collection(parse_docstring=True)
        for option in argument.names
        if option.startswith("--") and not option.startswith("--no-")
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    text = (DOCS / "commands" / f"{name}.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\* `(--[\w-]+)[^`]*`: \S", text, re.MULTILINE))
    assert options_of(name) - described == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_in_the_list_and_has_an_example(name: str) -> None:
    assert f"[`estab {name}`]({name}.md)" in (DOCS / "commands" / "index.md").read_text(encoding="utf-8")
    page = (DOCS / "commands" / f"{name}.md").read_text(encoding="utf-8")
    assert re.search(rf"^```sh\n.*\bestab {name}\b.*\n```$", page, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in estab.__all__ if name != "__version__"])
def test_public_name_is_documented(name: str) -> None:
    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    one = getattr(estab, name)
    assert (one.__doc__ or "").strip(), f"estab.{name} has no docstring"
    assert re.search(rf"^### {name}$|\[`estab\.{name}`\]\(records\.md#{name.lower()}\)", text, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in estab.__all__ if name != "__version__"])
def test_public_name_stays_what_it_is(name: str) -> None:
    """`estab.diagnose` is the function, though a package is called so too, and though it was imported meanwhile."""
    first = getattr(estab, name)
    assert callable(first)
    assert getattr(estab, name) is first


@pytest.mark.parametrize(("name", "record"), sorted(all_records().items()))
def test_every_field_of_every_record_is_documented(name: str, record: type[msgspec.Struct]) -> None:
    text = (DOCS / "reference" / "records.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    fields = {field.name for field in msgspec.structs.fields(record)} & set(record.__annotations__)
    assert fields - set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set()


@pytest.mark.parametrize("name", scenario.names())
def test_every_setting_of_the_lab_is_documented(name: str) -> None:
    text = (DOCS / "reference" / "scenarios.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert scenario.find(name).symptom in section
    assert [one.key for one in settings.parameters(scenario.find(name)) if f"| `{one.key}` |" not in section] == []
