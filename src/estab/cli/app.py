"""The `estab` app: finds the command, runs it, and turns whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import errno
import io
import os
import resource
import sys
from collections.abc import Iterator, Sequence

import cyclopts

from estab import __version__, shortage
from estab.cli.commands import COMMANDS, GROUPS
from estab.cli.parameters import in_flags
from estab.cli.show import INTERRUPTED, MACHINE, USAGE
from estab.cli.usage import usage
from estab.errors import EstabError
from estab.words import nearest


def _as_typed(default: object) -> str | None:
    """How --help writes a default; None: not at all, as that of a flag."""
    if default is None or default == "" or isinstance(default, bool):
        return None
    return f"{default:g}" if isinstance(default, float) else str(default)


app = cyclopts.App(
    name="estab",
    help="Why do my TCP connections fail, and how many can I have?",
    help_epilogue="Example: `estab hold 127.0.0.1:8080 -n 1000`. "
    "Exit codes: 0 nothing went wrong, 1 connections failed or a limit was met, "
    "2 bad usage or unreadable input, 3 this machine can't do it, 130 interrupted.",
    version=__version__,
    version_flags=["--version", "-V"],
    default_parameter=cyclopts.Parameter(show_default=_as_typed),
    version_format="plaintext",  # Markdown is slow to load
    result_action="return_value",
)
_HELP = {"--help", "-h"}
for _at, (_name, _help) in enumerate(COMMANDS.items()):
    # Named, not imported: a command's module is loaded when it is called, so that --help starts fast.
    _own: dict[str, str] = {} if _name in GROUPS else {"help_epilogue": ""}
    app.command(f"estab.cli.{_name}:{_name}", name=_name, help=_help, sort_key=_at, **_own)


def commands() -> Iterator[tuple[tuple[str, ...], cyclopts.App]]:
    """Every command that can be called, by its words: ("bench",), ("cluster", "check"). Loads all their modules."""
    for name in COMMANDS:
        command = app[name]
        if command.default_command is not None:
            yield (name,), command
        for sub in command:
            if not sub.startswith("-"):
                yield (name, sub), command[sub]


def find(tokens: Sequence[str]) -> tuple[tuple[str, ...], cyclopts.App]:
    """The command that a command line begins with, by its words; the whole `estab` where it begins with none."""
    words: tuple[str, ...] = ()
    command = app
    for token in tokens:
        if token.startswith("-") or token not in command:
            break
        words, command = (*words, token), command[token]
    return words, command


def _stdout_is_gone() -> None:
    # Who closes it has read enough (`| head`): nothing is said. Without this, Python would, at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fill_standard_descriptors() -> None:
    """Where 0, 1 or 2 is closed, /dev/null takes its place: else the next file opened would, and be written to."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _escape_what_cannot_be_encoded() -> None:
    """What the locale has no letter for (a process's name, a file's) is written as `\\u2026`, and ends no command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def call(arguments: Sequence[str]) -> int:
    """Runs one command line; the exit code that the help names."""
    _fill_standard_descriptors()
    _escape_what_cannot_be_encoded()
    code = _run(list(arguments))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _stdout_is_gone()
        code = code or 1
    return code


def _run(tokens: list[str]) -> int:
    if tokens[:1] == ["help"]:  # `estab help hold` is `estab hold --help`
        tokens = [*tokens[1:], "--help"]
    try:
        own = tokens[: tokens.index("--")] if "--" in tokens else tokens  # behind it stands a command of others
        if own and own[0] in COMMANDS and not _HELP.isdisjoint(own):
            _help_in_full(tokens)
        result = app(tokens, print_error=False, exit_on_error=False)
    except BrokenPipeError:
        _stdout_is_gone()
        return 1
    except (Exception, KeyboardInterrupt) as error:
        said, code = _explain(error, tokens)
        print(f"estab: {_on_one_line(said)}", file=sys.stderr)
        return code
    return result if isinstance(result, int) else 0


def _on_one_line(said: str) -> str:
    """Without line breaks, and with what would steer a terminal (a file's name may hold it) made visible."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(said.split()))


def _help_in_full(tokens: list[str]) -> None:
    """The command's docstring, with its example, instead of the one line that the list of commands has."""
    words, command = find(tokens)
    if command.default_command is not None:
        command.help = None
        command.usage = f"Usage: {' '.join(('estab', *words))} {usage(command)}"
    if words == ("lab", "run"):
        command.help_epilogue = _settings_of_scenarios(tokens)


def _settings_of_scenarios(tokens: list[str]) -> str:
    # The scenarios are loaded for it: no other --help waits for them.
    from estab.cli.lab_settings import help_on

    return help_on(tokens)


def _explain(error: BaseException, tokens: list[str]) -> tuple[str, int]:
    """One line and an exit code for whatever ended a command."""
    match error:
        case cyclopts.CycloptsError():
            return f"{_asked_wrongly(error)} ({_command(tokens)} --help says what it takes)", USAGE
        case EstabError():
            return in_flags(str(error), find(tokens)[1]), error.exit_code
        case KeyboardInterrupt():
            return "interrupted", INTERRUPTED
    if lacking := shortage.explain(error):
        return lacking, MACHINE
    if isinstance(error, OSError):
        return _of_the_system(error), MACHINE
    if os.environ.get("ESTAB_TRACEBACK"):
        raise error
    what = f"a fault of estab's own: {type(error).__name__}: {error}"
    return f"{what}; ESTAB_TRACEBACK=1 shows where, please report it", MACHINE


def _of_the_system(error: OSError) -> str:
    if error.errno == errno.ENOSPC and error.filename is None:
        # Whoever writes a file says its name; what has none is standard output.
        return f"can't write standard output: {error.strerror}"
    hint = f"; `ulimit -n` is {_nofile()}, raise it" if error.errno in (errno.EMFILE, errno.ENFILE) else ""
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{error.strerror or error}{hint}"


def _asked_wrongly(error: cyclopts.CycloptsError) -> str:
    if isinstance(error, cyclopts.UnknownCommandError) and error.unused_tokens:
        name = error.unused_tokens[0]
        shown = [word for word, command in (error.app or app).resolved_commands().items() if command.show]
        return f"there is no command {name!r}{nearest(name, [*shown, 'help'])}"
    if isinstance(error, cyclopts.UnusedCliTokensError):
        unused = error.unused_tokens or []
        return f"unexpected argument{'s' if len(unused) > 1 else ''} {' '.join(map(repr, unused))}"
    return str(error)


def _nofile() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _command(tokens: list[str]) -> str:
    return " ".join(("estab", *find(tokens)[0]))
