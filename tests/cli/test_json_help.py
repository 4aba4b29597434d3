"""The help of --json names the schema that is written."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from estab import records
from estab.cli.app import call, commands
from estab.records import cluster, comparison, lab, schema_of, search, twin

SCHEMAS = {
    value
    for module in (records, cluster, comparison, lab, search, twin)
    for name, value in vars(module).items()
    if name.endswith("_SCHEMA")
}
LINES = (
    ("limits", "127.0.0.1:9"),
    ("hold", "-n", "3", "-d", "0.05"),
    ("hold", "--find-ceiling", "-n", "3"),
    ("hold", "--find-idle", "100ms"),
    ("churn", "-c", "2", "-d", "0.1"),
    ("bench", "-c", "2", "-d", "0.1"),
    ("serve", "-d", "0.1", "--listen", "127.0.0.1:0"),
    ("diagnose", "--interval", "50ms"),
    ("observe",),
    ("lab", "list"),
)


@functools.cache
def named() -> dict[str, set[str]]:
    """The schemas that the help of each command's --json, or the first lines of its help, name."""
    found = {}
    for words, command in commands():
        for argument in command.assemble_argument_collection(parse_docstring=True):
            if "--json" in argument.names:
                assert command.default_command is not None
                said = f"{argument.parameter.help} {(command.default_command.__doc__ or '').partition('Parameters')[0]}"
                found[" ".join(words)] = set(re.findall(r"estab\.[a-z_-]+/[0-9]+", said))
    return found


def test_each_names_schemas_that_there_are() -> None:
    assert len(named()) > 8
    for command, schemas in named().items():
        assert schemas, command
        assert schemas <= SCHEMAS, command


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_what_is_written_is_named(line: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    assert call([*line, "--json", str(file)]) in (0, 1)
    capsys.readouterr()
    schema = schema_of(file.read_bytes())
    assert schema in next(
        schemas for command, schemas in named().items() if line[: len(command.split())] == tuple(command.split())
    )
