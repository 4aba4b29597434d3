"""Debian's packages in a directory of our own: own lists, nothing installed on the host.

`Apt(cache)` knows every suite that can hold a kernel, from the mirror that the host's own sources name. A package is
downloaded once and unpacked beside it. What can't be had raises `CannotHave`, with the reason.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SUITES = (
    *("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid"),
    *("bullseye-security", "bookworm-security", "trixie-security"),
)
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = Path("/etc/apt")
_LISTS_LAST_S = 24 * 3600.0
_ATTEMPTS = 5
_PAUSE_S = 5.0  # after an attempt that failed, and twice as long after each next one
_APT_S = 300  # the longest that one call of apt may take


class CannotHave(Exception):
    """A package that can't be had here. The message names it, and says why."""


@dataclass(frozen=True)
class Package:
    """One version of a package, as `apt-cache madison` lists it; `suite` is "bookworm", "trixie-backports"."""

    name: str
    version: str
    suite: str

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.name} {self.version}"

    @property
    def file_name(self) -> str:
        """What its directory is called."""
        return f"{self.name}_{self.version}".replace(":", "%3a")


class Apt:
    """apt with its lists and its downloads below `cache`: of all suites, or of some where that is enough."""

    def __init__(self, cache: Path, suites: Sequence[str] = SUITES) -> None:
        self._cache, self._suites = cache, suites
        self._apt = cache / "apt" / ("all" if suites == SUITES else "+".join(suites))
        self._config = self._apt / "apt.conf"

    @property
    def has_lists(self) -> bool:
        """Whether the lists of packages were fetched, of whatever day: then what they name can be asked for offline."""
        return (self._apt / "fetched").exists()

    def update(self) -> None:
        """Fetch the lists of packages, unless they are of today. Raises CannotHave."""
        with self._alone():
            if not KEYRING.exists():
                raise CannotHave(f"no {KEYRING}: apt-get install debian-archive-keyring")
            self._configure()  # anew each time: a checkout that was moved has another path
            fetched = self._apt / "fetched"
            if fetched.exists() and time.time() - fetched.stat().st_mtime < _LISTS_LAST_S:
                return
            self._run("apt-get", "update", "-qq", *_STRICT)
            fetched.touch()

    def names(self, pattern: str) -> list[str]:
        """The names of packages that match (re.fullmatch)."""
        return [name for name in self._run("apt-cache", "pkgnames").split() if re.fullmatch(pattern, name)]

    def versions(self, names: Iterable[str]) -> list[Package]:
        """All versions of these packages, the newest first."""
        listed = parse_madison(self._run("apt-cache", "madison", *names))
        return sorted(listed, key=lambda package: version_key(package.version), reverse=True)

    def unpacked(self, package: Package) -> Path:
        """The directory with the files of a package. Raises CannotHave."""
        return self._unpacked([package])[0]

    def _unpacked(self, packages: Iterable[Package]) -> list[Path]:
        """The directory of each; what is missing is downloaded at one go, for each call of apt reads all lists."""
        places = {package: self._cache / "packages" / package.file_name for package in packages}
        with self._alone():
            missing = [package for package, place in places.items() if not place.exists()]
            downloads = self._apt / "archives"
            if missing:
                exact = (f"{package.name}={package.version}" for package in missing)
                self._run("apt-get", "download", "-qq", *exact, cwd=downloads)
            for package in missing:
                _unpack(next(downloads.glob(f"{package.name}_*.deb")), places[package])
        return list(places.values())

    def with_what_it_needs(self, names: Iterable[str]) -> list[Path]:
        """The unpacked files of these packages, of the host's own release, and of all they need that it has not."""
        wanted = ["apt-get", "install", "-qq", "--print-uris", "-y", "--no-install-recommends", f"-t={host_release()}"]
        printed = self._run(*wanted, "-o", "Debug::NoLocking=1", *names)
        files = re.findall(r"^'[^']+' (\S+?)_(\S+?)_\S+\.deb ", printed, re.MULTILINE)
        return self._unpacked(Package(name, version.replace("%3a", ":"), "") for name, version in files)

    def _configure(self) -> None:
        state, archives = self._apt / "state", self._apt / "archives"
        for directory in (state / "lists" / "partial", archives / "partial", self._cache / "packages"):
            directory.mkdir(parents=True, exist_ok=True)
        mirror, sources = host_mirror(), self._apt / "sources.list"
        lines = (f"deb [signed-by={KEYRING}] {_of_suite(mirror, suite)} {suite} main" for suite in self._suites)
        sources.write_text("\n".join(lines) + "\n")
        settings = {
            "Dir::State": state,
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": self._apt,
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "APT::Sandbox::User": "root",  # who fetches may not reach the cache
            "Acquire::Retries": 3,
            "Acquire::Languages": "none",  # what is not fetched can't fail
        }
        self._config.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        """What a command of apt prints: tried for a minute or more, for a mirror may be busy. Raises CannotHave."""
        environment = os.environ | {"APT_CONFIG": str(self._config), "LC_ALL": "C.UTF-8"}
        why = ""
        for attempt in range(_ATTEMPTS):
            try:
                done = subprocess.run(
                    command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=_APT_S, check=False
                )
            except FileNotFoundError:
                raise CannotHave(f"no {command[0]} here: kernels are Debian packages") from None
            except subprocess.TimeoutExpired:
                why = f"no answer within {_APT_S} s"
                continue
            if done.returncode == 0:
                return done.stdout
            why = _reason(done.stderr)
            if attempt + 1 < _ATTEMPTS:
                time.sleep(_PAUSE_S * 2**attempt)
        raise CannotHave(f"{' '.join(command[:2])} {command[-1]}: {why}")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time writes below the cache."""
        self._cache.mkdir(parents=True, exist_ok=True)
        with open(self._cache / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


# An index that could not be fetched is an error, not a warning: else a suite is missed without a word.
_STRICT = ("-o", "APT::Update::Error-Mode=any")


def parse_madison(text: str) -> list[Package]:
    """What `apt-cache madison` prints, a package a line; sources of packages are left out."""
    rows = ([cell.strip() for cell in line.split("|")] for line in text.splitlines())
    return [
        Package(name=row[0], version=row[1], suite=row[2].split()[1].partition("/")[0])
        for row in rows
        if len(row) == 3 and row[2].endswith("Packages")
    ]


def version_key(version: str) -> list[tuple[int, int | str]]:
    """Sorts versions as dpkg does, as far as kernels go: numbers by value, "~" before the end, the end before text."""
    parts = re.findall(r"\d+|~|[^\d~]+", version)
    return [(2, int(part)) if part.isdigit() else (0 if part == "~" else 3, part) for part in parts] + [(1, "")]


def host_mirror() -> str:
    """The first Debian mirror among the host's sources; Debian's own where it has none."""
    files = [_SOURCES / "sources.list", *sorted((_SOURCES / "sources.list.d").glob("*"))]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    match = re.search(r"^(?:URIs:\s*|deb\s+(?:\[.*?\]\s+)?)(\S+/debian)/?(?=\s)", text, re.MULTILINE)
    return match[1] if match else MIRROR


def host_release() -> str:
    """The host's release by name, as "bookworm"; "stable" where it doesn't say."""
    match = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else "stable"


def _of_suite(mirror: str, suite: str) -> str:
    return f"{mirror}-security" if suite.endswith("-security") else mirror


def _unpack(archive: Path, directory: Path) -> None:
    """All of it or nothing: an interrupted one is not taken for whole. The archive is not needed any more."""
    unfinished = directory.with_name(f"{directory.name}.part{os.getpid()}")
    subprocess.run(["dpkg-deb", "-x", archive, unfinished], check=True, timeout=_APT_S)
    unfinished.rename(directory)
    archive.unlink()


def _reason(text: str) -> str:
    """The first line that says what failed; the last one of apt says only that something did."""
    lines = text.strip().splitlines() or ["it failed without a word"]
    return next((line for line in lines if re.match(r"(E|W|Err): ?(Failed to fetch|\S+:)", line)), lines[0])
