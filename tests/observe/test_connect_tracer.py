"""What of the trace events there is on a kernel, and what is said of those that it lacks."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from estab.errors import ParseError
from estab.observe import connect_tracer
from estab.observe.connect_tracer import WantedEvent


def has(folder: Path, *fields: str) -> Path:
    """A tracefs instance with one event, of these fields of 8 bytes."""
    at = folder / "events" / "tcp" / "an_event"
    at.mkdir(parents=True)
    lines = [f"\tfield:long {name};\toffset:{8 + 8 * nth};\tsize:8;\tsigned:0;" for nth, name in enumerate(fields)]
    (at / "format").write_text("\n".join(["name: an_event", "ID: 7", "format:", *lines, "", "print fmt: x"]))
    return at


def test_an_event_that_is_there_is_switched_on(tmp_path: Path) -> None:
    at = has(tmp_path, "skaddr", "ret")
    assert connect_tracer.switched_on(str(tmp_path), WantedEvent("tcp/an_event", {"ret": 8}, "ret < 0")) == (7, 16)
    assert ((at / "filter").read_text(), (at / "enable").read_text()) == ("ret < 0", "1")


@pytest.mark.parametrize("fields", [None, ("other",)], ids=["no such event", "another layout"])
def test_one_that_can_be_done_without(tmp_path: Path, fields: tuple[str, ...] | None) -> None:
    if fields is not None:
        has(tmp_path, *fields)
    assert connect_tracer.switched_on(str(tmp_path), WantedEvent("tcp/an_event", {"ret": 8}, without="RSTs")) == (-1,)
    with pytest.raises((OSError, ParseError)):
        connect_tracer.switched_on(str(tmp_path), WantedEvent("tcp/an_event", {"ret": 8}))


def test_what_is_not_permitted_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has(tmp_path, "ret")

    def refused(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(connect_tracer, "_write", refused)
    with pytest.raises(PermissionError):
        connect_tracer.switched_on(str(tmp_path), WantedEvent("tcp/an_event", {"ret": 8}, without="RSTs"))


def test_its_process_loads_little() -> None:
    """Each run of a program waits for its start."""
    code = "import sys; sys.path[:] = sys.argv[1:]; import estab.observe.connect_tracer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code, *sys.path], capture_output=True, text=True, check=True)
    assert not {"ctypes", "msgspec", "pathlib", "re", "typing", "estab.records"} & set(done.stdout.split())
