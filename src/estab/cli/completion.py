"""`estab completion`: the shell's completion script, made from the commands themselves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from estab.cli.show import OK
from estab.cli.values import Flag
from estab.errors import UsageError

Shell = Literal["bash", "zsh", "fish"]


def completion(shell: Shell, /, *, install: Flag = False) -> int:
    """Print the completion script for a shell, or install it.

    Completes commands, options, their choices, files, scenarios and causes. For this shell only:
    source <(estab completion bash). For good: --install, which writes one file in your home directory and edits none.

    Example: estab completion bash

    Parameters
    ----------
    shell
        bash, zsh or fish.
    install
        Write the script to bash-completion's or fish's own directory, or to ~/.zfunc for zsh, and say where.
    """
    from estab.cli.completions import script

    text = script(shell)
    if not install:
        sys.stdout.write(text)
        return OK
    path, hint = _place(shell)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}; estab completion {shell} prints the script") from error
    print(f"{path} written. {hint}")
    return OK


def _place(shell: Shell) -> tuple[Path, str]:
    """Where the shell looks by itself, and what is left to do."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "bash":
        return data / "bash-completion/completions/estab", "New shells have it, where bash-completion is installed."
    if shell == "fish":
        return config / "fish/completions/estab.fish", "New shells have it."
    return home / ".zfunc/_estab", "zsh finds it with `fpath+=~/.zfunc; autoload -Uz compinit; compinit` in ~/.zshrc."
