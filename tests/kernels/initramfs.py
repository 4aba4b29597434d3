"""The root of a guest that has no way to the host's files: an initramfs with programs, a Python and this repository.

A newc cpio. Times of files stay, or every compiled module of Python would be taken for out of date.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.kernels.guest import FILES, REPOSITORY

_PROGRAMS = (
    *("bash", "cat", "chmod", "cp", "date", "dmesg", "env", "false", "grep", "head", "id", "ip", "kill", "ln", "ls"),
    *("mkdir", "mktemp", "mount", "mv", "nft", "nice", "nsenter", "ping", "printf", "ps", "rm", "sed", "seq"),
    *("setpriv", "setsid", "sh", "sleep", "ss", "stty", "sync", "sysctl", "tail", "tar", "tc", "test", "timeout"),
    *("touch", "tr", "true", "umount", "uname", "unshare"),
)
_DIRECTORIES = ("proc", "sys", "dev", "run", "tmp", "etc", "root", "var/tmp", "mnt", "boot", "opt", "srv", "home")
_FILES = ("passwd", "group", "nsswitch.conf", "hosts", "services", "protocols", "ld.so.cache", "ld.so.conf")
# What neither the tests of rules nor scenarios import, of Python's library, of what is installed, and of the tests.
_LEFT_OUT = re.compile(
    r"^/(test|idlelib|ensurepip|tkinter|lib2to3|turtledemo|pydoc_data|unittest/test|config-.*|site-packages|dist-packages|"
    r"altair|vl_convert|playwright|pip|setuptools|pkg_resources|mypy|mypyc|babel|material|mkdocs|cmake|ninja|textual|"
    r"distributed|dask|narwhals|jinja2|ruff|syrupy|prometheus_client|scikit_build_core|tornado|grimp|yaml|pymdownx|tzdata|browser|live|field|report)(-[^/]*)?/"
)
_LIBRARIES_BY_NAME = re.compile(r"libnss_|libxtables|libgcc_s")  # loaded, not linked


class Cpio:
    """An archive as it is written."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._names: set[str] = set()

    def add(self, name: str, mode: int, data: bytes = b"", *, device: tuple[int, int] = (0, 0), mtime: int = 0) -> None:
        """An entry, after those of its directories; one that is there already stays."""
        name = name.lstrip("/")
        if name in self._names:
            return
        if (parent := os.path.dirname(name)) and parent not in self._names:
            self.add(parent, stat.S_IFDIR | 0o755)
        self._names.add(name)
        raw = name.encode() + b"\0"
        fields = (len(self._names), mode, 0, 0, 1, mtime, len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + "".join(f"{field:08X}" for field in fields).encode() + raw
        self._stream.write(_padded(head) + _padded(data))

    def put(self, path: Path, name: str | None = None) -> None:
        """A file of the host, where it is there; a link with what it leads to."""
        place = name or str(path.parent.resolve() / path.name)
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            self.add(place, status.st_mode, os.readlink(path).encode())
            if path.is_file():
                self.put(path.parent / path.readlink())
        elif stat.S_ISREG(status.st_mode):
            self.add(place, status.st_mode, path.read_bytes(), mtime=int(status.st_mtime))

    def close(self) -> None:
        """The end of the archive."""
        self.add("TRAILER!!!", 0)
        self._stream.close()


def write_root(path: Path, more: Iterable[Path]) -> None:
    """The root, with the programs of `more` beside those that every guest needs."""
    archive = Cpio(path)
    for link in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{link}"):
            archive.add(link, stat.S_IFLNK | 0o777, os.readlink(f"/{link}").encode())
    for directory in _DIRECTORIES:
        archive.add(directory, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    here = (shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") for name in _PROGRAMS)
    for program in (*(Path(name) for name in here if name), *more, Path(sys.executable)):
        archive.put(program)
        _libraries(archive, program.resolve())
    for file in _python():
        archive.put(file)
        if ".so" in file.name and not file.is_symlink():
            _libraries(archive, file)
    for name in _FILES:
        if (file := Path("/etc") / name).exists():
            archive.put(file)
    for file in Path("/lib", "x86_64-linux-gnu").iterdir():
        if _LIBRARIES_BY_NAME.match(file.name):
            archive.put(file)
    archive.put(FILES / "init.sh", "/init")
    archive.close()


def write_modules(path: Path, modules: Path, depmod: Path, unfinished: Path) -> None:
    """The modules that a network needs, with their index, at /lib/modules/RELEASE; a kernel may come without any."""
    wanted = re.compile(r"kernel/(net|lib|crypto|drivers/net/(veth|tun|ifb)\.ko|arch/x86/(crypto|lib))")
    inside = unfinished / "lib" / "modules" / modules.name
    for file in (file for file in modules.rglob("*") if file.is_file()):
        name = str(file.relative_to(modules))
        if name.startswith("modules.") or wanted.match(name):
            (inside / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(file, inside / name)
    subprocess.run([depmod, "-b", unfinished, modules.name], check=True, capture_output=True, timeout=120)
    archive = Cpio(path)
    for file in sorted(inside.rglob("*")):
        archive.put(file, f"/usr/lib/modules/{modules.name}/{file.relative_to(inside)}")
    archive.close()


def write_order(path: Path, order: Path) -> None:
    """What one guest is to do, where its init looks for it."""
    archive = Cpio(path)
    archive.put(order, "/order.sh")
    archive.close()


def _python() -> Iterator[Path]:
    """Python's files: its library, what is installed beside it, and the tests."""
    library = Path(sysconfig.get_path("stdlib"))
    directories = dict.fromkeys(Path(place) for place in (library, *sys.path, REPOSITORY / "tests"))
    for directory in (directory for directory in directories if directory.is_dir() and directory != REPOSITORY):
        for base, names, files in os.walk(directory):
            names[:] = [name for name in names if not _LEFT_OUT.search(f"/{Path(base, name).relative_to(directory)}/")]
            yield from (Path(base, name) for name in files if "__mypyc." not in name)
    yield from (Path(sys.prefix, "pyvenv.cfg"), REPOSITORY / "pyproject.toml", REPOSITORY / "README.md")


def _libraries(archive: Cpio, file: Path) -> None:
    """What the dynamic loader takes for it."""
    printed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False, timeout=20).stdout
    for name in re.findall(r"(/\S+)", printed):
        archive.put(Path(name))


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
