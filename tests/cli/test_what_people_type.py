"""What people type where a target, a listener, a number or a cause is asked: each form means what it says."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import assert_one_clear_line, called, estab, recorded, serving

from estab import __version__
from estab.api import local_server
from estab.cli import usage
from estab.cli.app import commands
from estab.diagnose.suspects import CAUSES
from estab.errors import UsageError
from estab.extras import install_command
from estab.records import DIAGNOSIS_SCHEMA, LIMITS_SCHEMA, Diagnosis, Limits, decode
from estab.report.cause_pages import page_of


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listener of this very process, on one port that no other listener of it has."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


# A target ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["{}", ":{}", "localhost:{}", "http://localhost:{}/", "http://me@localhost:{}/a?b#c"])
def test_a_load_takes_a_port_and_a_url(form: str) -> None:
    with serving() as (where, _process):
        port = where.rpartition(":")[2]
        run = recorded(estab("hold", form.format(port), "-n", "3", "-d", "50ms", "--json", "-"))
    assert str(run.config["target"]).endswith(f":{port}")
    assert run.funnel.connected == 3


def test_a_load_takes_the_name_of_a_program(listener: socket.socket) -> None:
    name = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    assert local_server.address_of("10.0.0.5:80") == "10.0.0.5:80"
    assert local_server.find(str(os.getpid())).pid == os.getpid()
    if [found.port for found in local_server.find(str(os.getpid())).listeners] != [port_of(listener)]:
        return  # another test of this process listens too: which is meant is then not to be told
    try:
        assert local_server.address_of(name) == f"127.0.0.1:{port_of(listener)}"
    except UsageError as error:
        assert "several servers" in str(error)


def test_limits_takes_a_port_and_a_pid(listener: socket.socket) -> None:
    port = port_of(listener)
    for asked in (
        [f":{port}"],
        [str(port)],
        [f"http://127.0.0.1:{port}/"],
        ["--listen", f":{port}"],
        ["--listen", str(port)],
    ):
        done = called("limits", *asked, "--json", "-")
        assert decode(done.stdout.encode(), Limits, LIMITS_SCHEMA).target == f"127.0.0.1:{port_of(listener)}"


def test_diagnose_takes_a_port_and_looks_at_no_other(listener: socket.socket) -> None:
    for asked in (f":{port_of(listener)}", f"127.0.0.1:{port_of(listener)}"):
        done = called("diagnose", asked, "--interval", "20ms", "--json", "-")
        assert done.returncode == 0, done.stderr
        assert decode(done.stdout.encode(), Diagnosis, DIAGNOSIS_SCHEMA).cause is None


def test_a_file_is_read_though_it_is_called_as_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("8080").write_text("{}")
    assert_one_clear_line(called("diagnose", "8080"), 2, "8080: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("hold", "99999"), ("TARGET", "port 99999 is out of range")),
        (("hold", "no-such-program"), ("no port", "HOST:PORT", "program")),
        (("hold", "gopher://x/"), ("no port",)),
        (("limits", "no-such-program"), ("no program named 'no-such-program'", "ss -ltnp")),
        (("limits", "99999999"), ("no process 99999999",)),
        (("diagnose", "no-such-program"), ("no file no-such-program", "no program named")),
        (("diagnose", "192.0.2.1:80"), ("not on this host", "estab hold 192.0.2.1:80")),
        (("diagnose", "run.json"), ("can't read run.json",)),
        (("watch", "x", "--port", "80"), ("LISTENER", "--port")),
        (("hlep",), ("there is no command 'hlep'; did you mean 'help'?",)),
        (("lab", "rnu"), ("there is no command 'rnu'; did you mean 'run'?", "estab lab --help")),
        (("explain", "accept_queue_overflw"), ("did you mean 'accept_queue_overflow'",)),
        (("lab", "run", "cooke_reset"), ("did you mean 'cookie_reset'", "estab lab list")),
        (("lab", "list", "helthy"), ("did you mean 'healthy'",)),
        (("hold", "1", "2", "3"), ("unexpected arguments '2' '3'",)),
        (("hlod",), ("hlod", "hold")),
    ],
)
def test_what_is_none_of_these(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert_one_clear_line(called(*arguments), 2, *words)


# Help ---------------------------------------------------------------------------------------------------------------


def test_help_and_version_by_each_name() -> None:
    assert called("help").stdout == called("--help").stdout
    assert called("help", "hold").stdout == called("hold", "--help").stdout
    assert called("-V").stdout.strip() == __version__


@pytest.mark.parametrize("words", [words for words, _command in commands()], ids=" ".join)
def test_help_says_what_is_typed(words: tuple[str, ...]) -> None:
    said = called(*words, "--help").stdout
    assert f"Usage: estab {' '.join(words)} [OPTIONS]" in said
    for word in ("FLOAT", " INT", " STR", "ARGS", "[default: False]", "[default: ]"):
        assert word not in said


def test_every_value_has_a_word_for_it() -> None:
    for words, command in commands():
        for argument in usage.shown(command):
            if usage.options_of(argument) and not argument.is_flag():
                assert argument.parameter.metavar or argument.get_choices(), (words, argument.names)


# Causes -------------------------------------------------------------------------------------------------------------


def test_every_cause_is_explained() -> None:
    for cause in CAUSES:
        page = page_of(cause.id)
        assert page is not None, f"docs/causes/{cause.id}.md is not installed"
        assert page.title
        assert page.sentence.endswith("."), page.sentence
    done = called("explain", "accept-queue-overflow")
    assert done.returncode == 0
    assert done.stdout.startswith("The accept queue overflows\naccept_queue_overflow\n")
    for heading in ("Symptom", "Mechanism", "See it by hand", "What does nothing"):
        assert f"\n{heading}\n" in done.stdout
    assert "](" not in done.stdout
    assert "<!--" not in done.stdout


def test_causes_are_listed_and_found_by_what_their_pages_say() -> None:
    listed = called("explain").stdout
    assert all(cause.id in listed for cause in CAUSES)
    told = called("explain", "EADDRNOTAVAIL").stdout
    assert "time_wait_port_exhaustion" in told
    assert "accept_thread_starved" not in told
    assert page_of("no_such_cause") is None
    assert page_of("../errors") is None


# Extras -------------------------------------------------------------------------------------------------------------


def test_an_extra_is_added_where_estab_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = Path(__file__).parents[2]
    monkeypatch.chdir(checkout)
    if Path(sys.prefix) == checkout / ".venv":
        assert install_command("report") == ".venv/bin/pip install '.[report]'"
    monkeypatch.chdir(tmp_path)
    assert install_command("watch").endswith("[watch]'")
    assert not install_command("watch").startswith(".")
