"""Debian's kernels under QEMU, without KVM, in virtual time: waiting costs nothing there, and load is not seen."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kernels import initramfs
from tests.kernels.apt import Apt, CannotHave, Package
from tests.kernels.guest import Guest
from tests.kernels.uml import arguments, kmod

_MEMORY = "3G"
# One instruction takes 2 ns, and a wait of the guest takes none. A plain processor: fewer instructions to emulate.
_MACHINE = ("-machine", "q35", "-accel", "tcg", "-icount", "shift=1,sleep=off", "-cpu", "Nehalem", "-smp", "1")
_QUIET = "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off audit=0 apparmor=0 selinux=0 nokaslr tsc=reliable"
_PROGRAM = "qemu-system-x86_64"
_RESULTS = "results.tar"


class Emulator:
    """QEMU with its files, and the root that all guests begin with. `directory` is for what this run makes."""

    def __init__(self, apt: Apt, cache: Path, directory: Path) -> None:
        self._apt, self._cache, self._directory = apt, cache, directory
        self._command, self._environment = _qemu(apt)
        self._root = directory / "root.cpio"
        initramfs.write_root(self._root, [kmod(apt, cache, "modprobe")])

    def ready(self, package: Package) -> Guest:
        """That kernel as a guest. Raises CannotHave."""
        places = [self._apt.unpacked(part) for part in self._parts(package)]
        image, packed = _first(places, "**/vmlinuz*"), self._directory / f"{package.name}.cpio"
        given = {"out": "", "kept": "", "modules": ""}
        try:
            modules = _first(places, "**/lib/modules/*/kernel").parent
        except CannotHave:  # the mirror has no package of this one's modules: it does what needs none, on one loopback
            packed.touch()
        else:
            with TemporaryDirectory(dir=self._cache) as unfinished:
                initramfs.write_modules(packed, modules, kmod(self._apt, self._cache, "depmod"), Path(unfinished))
            given["modules"] = f"/usr/lib/modules/{modules.name}"
        words = " ".join((_QUIET, *arguments(given | {"modprobe": kmod(self._apt, self._cache, "modprobe")})))

        def command(directory: Path) -> list[str]:
            order, initrd = directory / "order.cpio", directory / "initrd"
            initramfs.write_order(order, directory / "order.sh")
            _joined(initrd, (self._root, packed, order))
            return [
                *self._command, *_MACHINE, "-m", _MEMORY, "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", "-serial", "stdio", "-serial", f"file:{directory / _RESULTS}", "-kernel", str(image),
                "-initrd", str(initrd), "-append", words,
            ]  # fmt: skip

        return Guest(package.said, command, self._environment, collect=_collect)

    def _parts(self, package: Package) -> Iterable[Package]:
        """From 6.19 on an image's package is empty, and names one with the kernel and one with its modules."""
        yield package
        name = package.name.removeprefix("linux-image-").removesuffix("-unsigned")
        others = [f"linux-binary-{name}", f"linux-modules-{name}"]
        yield from (other for other in self._apt.versions(others) if other.version == package.version)


def _qemu(apt: Apt) -> tuple[list[str], dict[str, str]]:
    """The host's own, or that of packages of the host's release, which lie beside it."""
    if here := shutil.which(_PROGRAM):
        return [here], {}
    places = apt.with_what_it_needs(["qemu-system-x86", "qemu-system-data", "seabios"])
    program = _first(places, f"usr/bin/{_PROGRAM}")
    libraries = [
        str(lib) for place in places for lib in (*place.glob("usr/lib/*-linux-gnu"), *place.glob("lib/*-linux-gnu"))
    ]
    shared = [path for place in places for name in ("qemu", "seabios") for path in place.glob(f"usr/share/{name}")]
    firmware = [option for path in shared for option in ("-L", str(path))]
    environment = {
        "LD_LIBRARY_PATH": ":".join(libraries),
        "QEMU_MODULE_DIR": str(_first(places, "usr/lib/*-linux-gnu/qemu")),
    }
    return [str(program), *firmware], environment


def _first(places: Iterable[Path], pattern: str) -> Path:
    for place in places:
        for path in sorted(place.glob(pattern)):
            return path
    raise CannotHave(f"no {pattern} in its packages")


def _joined(path: Path, parts: Iterable[Path]) -> None:
    """Archives one after another are one archive to the kernel."""
    with path.open("wb") as whole:
        for part in parts:
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, whole)


def _collect(directory: Path) -> None:
    """What the guest sent by its second serial line."""
    (directory / "initrd").unlink()
    try:
        with tarfile.open(directory / _RESULTS) as archive:
            archive.extractall(directory, filter="data")
    except tarfile.TarError:
        return  # it sent nothing, or not all of it: the missing file says so
