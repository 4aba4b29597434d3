"""Each command's help is its whole docstring: with an example that can be copied."""

from __future__ import annotations

import subprocess
import sys

import pytest

from estab.cli.app import call, commands
from estab.cli.commands import COMMANDS


@pytest.mark.parametrize("words", [words for words, _command in commands()], ids=" ".join)
def test_help_has_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*words, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    name = " ".join(words)
    assert f"Example: estab {name}" in said or f"; estab {name}" in said


def test_help_lists_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "estab", "--help"], capture_output=True, text=True, check=True)
    said = " ".join(done.stdout.split())
    for name, what in COMMANDS.items():
        assert f"{name} {what.split()[0]}" in " ".join(said.split())
