"""What this process is called, against what it knows of itself; and one that is gone."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

from estab.observe.process_names import ProcessNames, process_names


def test_a_process_by_its_command_line_and_user() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "an argument"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # during execve(2) it has no command line
        try:
            called = process_names(process.pid)
        finally:
            process.communicate()
    assert called.command_line == " ".join(command)
    assert called.user == pwd.getpwuid(os.geteuid()).pw_name


def test_one_that_is_gone_has_no_names() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert process_names(process.pid) == ProcessNames()
