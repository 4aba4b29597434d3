"""The text of the completion scripts: cyclopts makes them from the commands; files and the lab's names are added."""

from __future__ import annotations

from string import Template

from estab.diagnose.suspects import BY_ID
from estab.lab.parts import scenario

# Cyclopts completes commands, options and choices, and nothing where a value may be anything. There come files, as in
# any shell, and after `estab lab run` the names of the scenarios.
_BASH = Template(r"""
_estab_names() {
  local cur="${COMP_WORDS[COMP_CWORD]}"
  local what="${COMP_WORDS[1]} ${COMP_WORDS[2]-}"
  if [[ "$$what" =~ ^lab\ (list|run)$$ && "$$cur" != -* && "$$COMP_CWORD" -ge 3 ]]; then
    case "${COMP_WORDS[COMP_CWORD-1]}" in --*) ;; *) COMPREPLY=($$(compgen -W '$names' -- "$$cur")); return ;; esac
  fi
  if [[ "${COMP_WORDS[1]}" == explain && "$$cur" != -* && "$$COMP_CWORD" -eq 2 ]]; then
    COMPREPLY=($$(compgen -W '$causes' -- "$$cur")); return
  fi
  _estab
}
complete -o default -o bashdefault -F _estab_names estab
""")
_FISH = Template("""
complete -c estab -n '__fish_seen_subcommand_from lab; and __fish_seen_subcommand_from list run' -a '$names'
complete -c estab -n '__fish_seen_subcommand_from diagnose compare' -F
complete -c estab -n '__fish_seen_subcommand_from explain' -a '$causes'
""")
_ZSH = Template("""
_estab_names() {
  if (( CURRENT >= 4 )) && [[ $$words[2] == lab && $$words[3] == (list|run) && $$words[CURRENT] != -* ]]; then
    compadd -- $names
    return
  fi
  if (( CURRENT == 3 )) && [[ $$words[2] == explain && $$words[CURRENT] != -* ]]; then
    compadd -- $causes
    return
  fi
  _estab "$$@" || _files
}
compdef _estab_names estab
""")


def names() -> list[str]:
    """What can follow `estab lab run`: the scenarios, which are named after causes, and all."""
    return [*sorted(scenario.names(), key=lambda name: (name not in BY_ID, name)), "all"]


def script(shell: str) -> str:
    """The completion script for bash, zsh or fish."""
    from estab.cli.app import app

    more = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}[shell]
    made: str = app.generate_completion(prog_name="estab", shell=shell)  # type: ignore[arg-type]
    return made.rstrip("\n") + "\n" + more.safe_substitute(names=" ".join(names()), causes=" ".join(BY_ID))
