"""The completion scripts, asked as the shell asks them, and the manual page, read as man reads it."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path

import pytest
from tests.cli.terminal import assert_one_clear_line, called, estab
from tests.forked import forked
from tests.servers import program

from estab.cli.commands import COMMANDS
from estab.diagnose.suspects import BY_ID

# What bash does at a TAB: the words so far, the function that `complete` names, the answers in COMPREPLY. Where there
# are none, `-o default` makes readline complete files.
ASK = r"""
set -u
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
"$(complete -p estab | sed -n 's/.* -F \([^ ]*\).*/\1/p')" estab "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\n' "${COMPREPLY[@]}"
"""

# One process: what the commands take is found out once.
pytestmark = pytest.mark.xdist_group("test_completion")


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "estab.bash"
    done = called("completion", "bash")
    assert done.returncode == 0, done.stderr
    path.write_text(done.stdout)
    return path


def answers(script: Path, *words: str) -> set[str]:
    command = [program("bash"), "--norc", "-c", ASK, "bash", str(script), "estab", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands(bash_script: Path) -> None:
    assert answers(bash_script, "") == set(COMMANDS)
    assert answers(bash_script, "comp") == {"compare", "completion"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("bench", "--mode", "f"), {"flood"}),
        (("bench", "--repe"), {"--repeat"}),
        (("compare", "--fa"), {"--fail-on"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
        (("hold", "--serve", "s"), {"sink", "stall"}),
        (("lab", "run", "cookie"), {"cookie_reset"}),
        (("lab", "run", "cookie_reset", "heal"), {"healthy"}),
        (("diagnose", "no-such"), set()),
    ],
)
def test_bash_completes(bash_script: Path, words: tuple[str, ...], expected: set[str]) -> None:
    assert answers(bash_script, *words) == expected


def test_bash_completes_every_cause_after_lab_run(bash_script: Path) -> None:
    assert answers(bash_script, "lab", "run", "") >= {*BY_ID, "all", "healthy"}


def test_bash_completes_every_cause_after_explain(bash_script: Path) -> None:
    assert answers(bash_script, "explain", "") == set(BY_ID)
    assert answers(bash_script, "explain", "accept_q") == {"accept_queue_overflow"}


def test_a_terminal_completes_files(bash_script: Path, tmp_path: Path) -> None:
    """A real interactive bash, with a TAB typed into it: the file's name appears, which no function of ours lists."""
    (tmp_path / "recorded-run.json").write_text("{}")
    ours, theirs = os.openpty()
    command = [program("bash"), "--norc", "--noprofile", "-i"]
    environment = {**os.environ, "TERM": "dumb", "PS1": "ready ", "HISTFILE": "/dev/null"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            os.write(ours, f"source {bash_script}; echo so''urced\n".encode())
            shown = read_until(ours, b"sourced\r\nready ")
            os.write(ours, b"estab diagnose recorded-\t")
            shown = read_until(ours, b"run.json")
            assert b"recorded-run.json" in shown
        finally:
            process.kill()
            os.close(ours)


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What the terminal shows up to `wanted`; fails with it after 10 seconds."""
    shown = b""
    while wanted not in shown:
        assert select.select([terminal], [], [], 10)[0], shown
        shown += os.read(terminal, 4096)
    return shown


@pytest.mark.parametrize(("shell", "path"), [
    ("bash", ".local/share/bash-completion/completions/estab"),
    ("fish", ".config/fish/completions/estab.fish"),
    ("zsh", ".zfunc/_estab"),
])  # fmt: skip
def test_install_writes_one_file_below_home(shell: str, path: str, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        **forked("completion", shell, "--install", env=environment),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert str(tmp_path / path) in done.stdout
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / path]
    text = (tmp_path / path).read_text()
    assert "accept_queue_overflow" in text
    assert "--fail-on" in text or "fail-on" in text


def test_install_says_where_it_could_not_write(tmp_path: Path) -> None:
    (tmp_path / ".zfunc").write_text("a file")
    done = subprocess.run(
        **forked("completion", "zsh", "--install", env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}),
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert_one_clear_line(done, 2, ".zfunc", "prints the script")


def test_an_unknown_shell() -> None:
    assert_one_clear_line(called("completion", "tcsh"), 2, "tcsh")


@pytest.fixture(scope="module")
def manual() -> str:
    return called("man").stdout


def test_the_manual_page_reads_without_a_warning(manual: str, tmp_path: Path) -> None:
    page = tmp_path / "estab.1"
    page.write_text(manual)
    groff = [program("groff"), "-ww", "-man", "-Tutf8", "-z", str(page)]
    checked = subprocess.run(groff, capture_output=True, text=True, check=False, timeout=30)
    assert (checked.returncode, checked.stderr) == (0, "")
    shown = subprocess.run(
        [program("groff"), "-man", "-Tascii", "-P-cbou", str(page)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert "estab - why TCP connections fail" in shown
    assert "--fail-on TERMS" in shown


def test_the_manual_page_has_every_command_and_option(manual: str) -> None:
    assert estab("man").stdout == manual, "the same version gives the same bytes"
    page = manual.replace("\\-", "-")
    for name in COMMANDS:
        assert f".SS estab {name}\n" in page
        section = page.partition(f".SS estab {name}\n")[2].partition(".SS ")[0]
        shown = called(name, "--help").stdout
        for option in {word.strip(",") for word in shown.split() if word.startswith("--")} - {"--help", "--version"}:
            assert option.rstrip(".;:)") in section, (name, option)
