"""A command as a shell starts it: the same terminal and standard streams, signals as they were, an exit code.

It stays in this process's group, as under time(1): Ctrl-C and Ctrl-Z reach it from the terminal itself, and a program
that draws the whole screen is in the foreground. What is sent to estab alone is passed on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
from collections.abc import Iterator, Sequence

from estab.errors import CommandError

_AS_THEY_WERE = (signal.SIGPIPE, signal.SIGXFSZ)  # what Python ignores (`_Py_InitSignals`)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_SI_KERNEL = 0x80  # sigaction(2): the terminal sent it, to the whole group
NOT_FOUND, NOT_EXECUTABLE = 127, 126


class StartedCommand:
    """A process that was started; it is waited for once. Raises CommandError where it can't be."""

    def __init__(self, command: Sequence[str]) -> None:
        self.pid = _spawn(command)
        self._pidfd = os.pidfd_open(self.pid)
        self.exit: int | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within `seconds`."""
        select.select([self._pidfd], [], [], max(0.0, seconds))
        if self.exit is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.exit = code if code >= 0 else 128 - code
        return self.exit is not None

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        """Give the descriptor back; the process goes on."""
        os.close(self._pidfd)


def _spawn(command: Sequence[str]) -> int:
    try:
        return os.posix_spawnp(
            command[0], list(command), os.environ, setsigmask=_mask_before(), setsigdef=_AS_THEY_WERE
        )
    except OSError as error:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        what = "command not found" if missing and "/" not in command[0] else os.strerror(error.errno or 0)
        raise CommandError(f"{command[0]}: {what}", NOT_FOUND if missing else NOT_EXECUTABLE) from error
    except ValueError as error:  # a NUL in it
        raise CommandError(f"{command[0]!r}: {error}", NOT_FOUND) from error


def _mask_before() -> set[signal.Signals]:
    """This thread's signal mask, without what `signals_held_back` holds back."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return {signal.Signals(number) for number in held if number not in PASSED_ON}


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """What is to be passed on waits meanwhile, for `take_signal`. For the main thread, before others are started.

    What is ignored (nohup) stays so, for the command too.
    """
    wanted = _not_ignored()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    try:
        yield
    finally:
        while signal.sigtimedwait(wanted, 0) is not None:
            pass  # it was meant for a command that has ended
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def take_signal() -> int | None:
    """A signal that has come and that the command has not had from the terminal; None: there is none."""
    taken = signal.sigtimedwait(_not_ignored(), 0)
    if taken is None:
        return None
    from_terminal = taken.si_code == _SI_KERNEL and taken.si_signo in (signal.SIGINT, signal.SIGQUIT)
    return None if from_terminal else taken.si_signo


def _not_ignored() -> list[signal.Signals]:
    return [number for number in PASSED_ON if signal.getsignal(number) != signal.SIG_IGN]
