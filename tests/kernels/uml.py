"""User-mode Linux: a kernel that is a process. Its root is the host's own, read-only; it boots in two seconds."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.kernels.apt import Apt, CannotHave, Package
from tests.kernels.guest import FILES, REPOSITORY, Guest

_MEMORY = "3G"  # sparse
_INTERPRETER = b"/lib64/ld-linux-x86-64.so.2\0"
_RELATIVE = b"./ld-linux-x86-64.so.2\0"


def ready(apt: Apt, package: Package, cache: Path) -> Guest:
    """That kernel as a guest. Raises CannotHave."""
    files = apt.unpacked(package)
    program, (modules,) = files / "usr/bin/linux.uml", (files / "usr/lib/uml/modules").iterdir()
    environment = {"LD_PRELOAD": str(_xstate(cache))}
    cwd = REPOSITORY
    if not _starts(program):
        cwd = _newest_libc(apt)
        program = _with_libc_beside(program)
        environment["LD_LIBRARY_PATH"] = str(cwd)
    loader = kmod(apt, cache, "modprobe")

    def command(directory: Path) -> list[str]:
        given = {"out": directory, "kept": f"{REPOSITORY}:{cache}", "modules": modules, "modprobe": loader}
        return [
            str(program), f"mem={_MEMORY}", f"uml_dir={directory}", "umid=guest", "rootfstype=hostfs", "rootflags=/",
            "ro", "root=/dev/root", f"init={FILES / 'init.sh'}", "con=null", "con0=null,fd:1", "con1=null", "quiet",
            "loglevel=3", *arguments(given),
        ]  # fmt: skip

    return Guest(package.said, command, environment, cwd)


def arguments(given: Mapping[str, object]) -> list[str]:
    """What the kernel hands to its init as environment."""
    return [f"estab_{name}={value}" for name, value in given.items()]


def kmod(apt: Apt, cache: Path, name: str) -> Path:
    """`modprobe` or `depmod`, by the host's kmod or that of a package. Raises CannotHave."""
    linked = cache / "kmod" / name
    if not linked.exists():
        here = shutil.which("kmod", path="/usr/bin:/bin")
        programs = [Path(here)] if here else [files / "bin/kmod" for files in apt.with_what_it_needs(["kmod"])]
        linked.parent.mkdir(exist_ok=True)
        linked.unlink(missing_ok=True)  # of a checkout that was moved since
        linked.symlink_to(next(program for program in programs if program.exists()))
    return linked


def _starts(program: Path) -> bool:
    return subprocess.run([program, "--version"], capture_output=True, timeout=20, check=False).returncode == 0


def _xstate(cache: Path) -> Path:
    """The library that lets kernels before 6.13 run on a CPU with wide registers: guest/xstate.c says why."""
    library = cache / "xstate.so"
    if not library.exists():
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise CannotHave("no cc here, for tests/kernels/guest/xstate.c: apt-get install gcc libc6-dev")
        unfinished = library.with_suffix(".part")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", unfinished, FILES / "xstate.c"], check=True)
        unfinished.rename(library)
    return library


def _newest_libc(apt: Apt) -> Path:
    """The directory of the newest C library, for a kernel that was built for one newer than the host's."""
    files = apt.unpacked(apt.versions(["libc6"])[0])
    return next(files.glob("**/ld-linux-x86-64.so.2")).resolve().parent


def _with_libc_beside(program: Path) -> Path:
    """The program, which finds its dynamic loader in the directory in which it is started."""
    patched = program.with_suffix(".beside")
    if not patched.exists():
        text = program.read_bytes().replace(_INTERPRETER, _RELATIVE.ljust(len(_INTERPRETER), b"\0"), 1)
        unfinished = program.with_suffix(".part")
        unfinished.write_bytes(text)
        unfinished.chmod(0o755)
        unfinished.rename(patched)
    return patched
