"""A real terminal, as tmux shows it: for what draws."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers import program


class Terminal:
    """A tmux of its own, with one window."""

    def __init__(self, folder: Path) -> None:
        self._tmux = [program("tmux"), "-f", "/dev/null", "-S", str(folder / "tmux")]
        self.ended = folder / "ended"

    def start(self, columns: int, lines: int, *command: str) -> None:
        shell = f"{shlex.join(command)}; echo $? > {shlex.quote(str(self.ended))}; sleep 60"
        size = ["-x", str(columns), "-y", str(lines)]
        # As some shells export them; and readline, which pytest loads, does it in the C environment.
        exported = {"COLUMNS": str(columns), "LINES": str(lines)}
        environ = {**os.environ, "LC_ALL": "C.UTF-8", **exported}
        subprocess.run([*self._tmux, "new-session", "-d", *size, shell], check=True, env=environ, timeout=20)

    def screen(self) -> str:
        command = [*self._tmux, "capture-pane", "-p"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout

    def press(self, *keys: str) -> None:
        subprocess.run([*self._tmux, "send-keys", *keys], check=True, timeout=20)

    def resize(self, columns: int, lines: int) -> None:
        subprocess.run([*self._tmux, "resize-window", "-x", str(columns), "-y", str(lines)], check=True, timeout=20)

    def until(self, pattern: str) -> str:
        """The screen once it shows this; fails with what it shows instead."""
        deadline = time.monotonic() + 30
        while not re.search(pattern, shown := self.screen(), re.DOTALL):
            assert time.monotonic() < deadline, f"{pattern!r} was awaited; the screen shows:\n{shown}"
            time.sleep(0.05)
        return shown

    def exit_code(self) -> int:
        deadline = time.monotonic() + 20
        while not self.ended.exists() or not self.ended.read_text().strip():
            assert time.monotonic() < deadline, self.screen()
            time.sleep(0.02)
        return int(self.ended.read_text())

    def told(self, what: str) -> int:
        """A number that tmux knows, as `#{pid}` of its server."""
        command = [*self._tmux, "display-message", "-p", what]
        return int(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True, timeout=20)


@contextlib.contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    found = Terminal(folder)
    try:
        yield found
    finally:
        found.close()
