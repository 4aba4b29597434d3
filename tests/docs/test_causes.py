"""Suspects, scenarios and pages hold together: the same stem everywhere, each page whole, its messages the system's."""

from __future__ import annotations

import errno
import os
import re

import pytest
from docs.generate.causes import MET, page_of, title_of
from tests.docs.pages import DOCS, blocks, calls

from estab.diagnose.suspects import BY_ID
from estab.lab.parts import scenario

CAUSES = sorted(BY_ID)
HEADINGS = (
    "Symptom", "Mechanism", "See it by hand", "How estab sees it", "What fixes it", "What does nothing",
    "Reproduce it",
)  # fmt: skip
PROGRAMS = ("Go", "Python", "Node", "Java", "curl", "nginx")
ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")


def text_of(cause: str) -> str:
    return page_of(BY_ID[cause])[0]


def sections(text: str) -> dict[str, str]:
    found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_the_same_stem_everywhere() -> None:
    pages = {path.stem for path in (DOCS / "causes").glob("*.md")} - {"index"}
    assert set(CAUSES) == pages
    assert set(CAUSES) <= set(scenario.names())


def test_scenarios_without_a_cause_of_their_own_have_a_page_too() -> None:
    others = set(scenario.names()) - set(CAUSES)
    assert others == {path.stem for path in (DOCS / "scenarios").glob("*.md")}
    assert {scenario.find(name).cause for name in others} <= {None, *CAUSES}


@pytest.mark.parametrize("cause", CAUSES)
def test_scenario_is_about_the_cause(cause: str) -> None:
    assert cause == scenario.find(cause).cause


@pytest.mark.parametrize("cause", CAUSES)
def test_page_has_all_headings_in_order(cause: str) -> None:
    text = text_of(cause)
    assert text.startswith(f"# {title_of(BY_ID[cause])}\n\n`{cause}`\n\n")
    assert title_of(BY_ID[cause]) != cause
    found = sections(text)
    assert tuple(found) == HEADINGS
    assert [name for name, body in found.items() if len(body.split()) < 4] == []


@pytest.mark.parametrize("cause", CAUSES)
def test_page_has_the_message_of_each_program(cause: str) -> None:
    rows = re.findall(r"^\| (\w+)[^|]*\| (.+) \|$", sections(text_of(cause))["Symptom"], re.MULTILINE)
    messages = [(program, message) for program, message in rows if program != "program"]
    assert {program for program, _ in messages} >= set(PROGRAMS)
    for program, message in messages:
        assert re.search(r"`[^`]{4,}`", message) or message.startswith(("nothing", "no error")), (program, message)


@pytest.mark.parametrize("cause", CAUSES)
def test_page_shows_how_to_see_it_by_hand(cause: str) -> None:
    by_hand = sections(text_of(cause))["See it by hand"]
    commands = [line for line in by_hand.splitlines() if line.startswith("    ")]
    assert commands
    assert any(re.search(r"\b(ss|nstat)\b", line) for line in commands)


@pytest.mark.parametrize("cause", CAUSES)
def test_page_names_remedies_and_what_does_nothing(cause: str) -> None:
    found = sections(text_of(cause))
    assert "\n- " in found["What fixes it"]
    assert "\n- " in found["What does nothing"]
    assert re.search(r"\*(Confirmed|Ruled out)\*", found["How estab sees it"])


@pytest.mark.parametrize("name", [*CAUSES, "backlog_plus_one", "healthy"])
def test_page_names_the_command_that_reproduces_it(name: str) -> None:
    folder = "causes" if name in CAUSES else "scenarios"
    lines = [line for block in blocks(DOCS / folder / f"{name}.md") for line in block.lines]
    assert ["lab", "run", name] in [call for line in lines for call in calls(line)]


@pytest.mark.parametrize("cause", CAUSES)
def test_cause_says_in_words_what_it_is_and_which_message_leads_to_it(cause: str) -> None:
    front = page_of(BY_ID[cause])[1]
    assert front.keys() == {"met", "messages"}
    assert front["met"] in MET
    assert front["messages"]
    for heading, when in front["messages"].items():
        section = ERRORS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        line = next(line for line in section.splitlines() if line.startswith(f"- {when}: "))
        assert f"](causes/{cause}.md) `{cause}`" in line


WITH_MESSAGES = ["errors", *(f"causes/{cause}" for cause in CAUSES)]


@pytest.mark.parametrize("page", WITH_MESSAGES)
def test_numbers_and_words_of_messages_are_the_systems(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for number, said in re.findall(r"\[Errno (\d+)\] (?!Connect call failed)([A-Z][\w ]+)", text):
        assert os.strerror(int(number)) == said
    for number, said in re.findall(r"\((\d+): ([A-Z][\w ]+)\)", text):
        assert os.strerror(int(number)) == said
    for name, number in re.findall(r"\b(E[A-Z]{3,}) \((\d+)\)", text):
        assert errno.errorcode[int(number)] == name


@pytest.mark.parametrize("page", WITH_MESSAGES)
def test_exceptions_of_python_are_those_that_it_raises(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    found = re.findall(r"\b(\w+Error): \[Errno (\d+)\]", text)
    assert [(name, number) for name, number in found if type(OSError(int(number), "")).__name__ != name] == []


@pytest.mark.parametrize("page", WITH_MESSAGES)
def test_codes_of_node_are_errnos(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    codes = re.findall(r"`(?:connect|read|write) (E[A-Z]+)", text)
    assert set(codes) <= set(errno.errorcode.values())
