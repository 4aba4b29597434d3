"""The library's messages name parameters; the command line says its own flags for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import estab
from estab.cli import parameters
from estab.cli.app import commands, find
from estab.cli.parameters import in_flags

SOURCE = Path(estab.__file__).parent
LIBRARY = ("api", "load", "observe", "live", "cluster", "compare")


@pytest.mark.parametrize(
    ("command", "message", "said"),
    [
        ("hold", "`in_flight` is 0", "--in-flight is 0"),
        ("hold", "`churn_rate_per_s` is 0; give `processes`", "--churn-rate is 0; give --processes"),
        ("bench", "`size_bytes` and `rate_per_s`", "--size and --rate"),
        ("bench", "`target` 'x' has no port", "TARGET 'x' has no port"),
        ("bench", "`address` 'x'", "--cluster 'x'"),
        ("cluster check", "`address` 'x'", "ADDRESS 'x'"),
        ("bench", "`kind` is 'x'", "--serve is 'x'"),
        ("serve", "`kind` is 'x'; choose another `port`", "SERVICE is 'x'; choose another --listen"),
        ("bench", "`bound_s` is 0", "bound is 0"),
        ("bench", "`ss -ltnp` and `estab observe` show it", "`ss -ltnp` and `estab observe` show it"),
    ],
)
def test_a_parameter_is_said_as_the_flag(command: str, message: str, said: str) -> None:
    assert in_flags(message, find(command.split())[1]) == said


def flags() -> set[str]:
    return {
        name for _words, command in commands() for one in command.assemble_argument_collection() for name in one.names
    }


def test_every_name_of_the_command_line_is_one() -> None:
    assert {name for names in parameters._NAMES.values() for name in names} - flags() == set()


def raised(path: Path) -> str:
    """The text of all messages that a module raises."""
    return "\n".join(re.findall(r"Error\((.*?)\n\s*(?:\)|return|if|def)", path.read_text() + "\n)", re.DOTALL))


@pytest.mark.parametrize("room", LIBRARY)
def test_no_message_of_the_library_names_a_flag(room: str) -> None:
    """But for command lines as a whole, and flags of other programs."""
    others = re.compile(r"estab \w+[^\"]*|--(?:resources|scheduler-file|cap-add)\b")
    found = [
        (path.name, *re.findall(r"--[a-z][a-z-]+", others.sub("", raised(path))))
        for path in (SOURCE / room).rglob("*.py")
    ]
    assert [one for one in found if len(one) > 1] == []
