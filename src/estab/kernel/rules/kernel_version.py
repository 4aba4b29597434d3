"""`KernelVersion`: which Linux a rule is asked about. What changed when stands with the rule that changed, not here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from estab.kernel.rules.inputs import RuleInputError
from estab.records import HostFacts

_RELEASE = re.compile(r"(\d{1,3})\.(\d{1,5})(?:\.(\d{1,5}))?(?!\d)(.*)", re.DOTALL)
_PACKAGE_NUMBER = re.compile(r"-\d")
# Debian's `uname -v`: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-02)".
_DEBIAN = re.compile(r"\bDebian (\d{1,3})\.(\d{1,5})\.(\d{1,5})[-~+]")
# Ubuntu's /proc/version_signature: "Ubuntu 6.8.0-45.45-generic 6.8.12"; the last word is the version it is built from.
_UBUNTU = re.compile(r"\bUbuntu \S+ (\d{1,3})\.(\d{1,5})\.(\d{1,5})(?:\s|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelVersion:
    """A kernel release, as `uname -r` prints it, taken apart.

    `patch` is the stable patch level, None where it is not known: Debian's "6.1.0-18-amd64" and Ubuntu's
    "5.15.0-91-generic" say it elsewhere (see `parse`), Red Hat's "4.18.0-553.el8" has its own choice of fixes.
    `suffix` is what follows the numbers, with its first dash or plus sign.
    """

    major: int
    minor: int
    patch: int | None = None
    suffix: str = ""

    def at_least(self, major: int, minor: int) -> bool:
        """Whether this is that mainline series or a later one. Says nothing of what a distribution brought back."""
        return (self.major, self.minor) >= (major, minor)

    def has_fix(self, mainline: tuple[int, int], stable: dict[tuple[int, int], int]) -> bool | None:
        """Whether a fix is in: from `mainline` (major, minor) on, or from a patch level of an older `stable` series.

        None where the patch level is not known, so that either may be true.
        """
        if self.at_least(*mainline):
            return True
        first = stable.get((self.major, self.minor))
        if self.patch is None:
            return None
        return first is not None and self.patch >= first

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}" + ("" if self.patch is None else f".{self.patch}") + self.suffix


def of(host: HostFacts) -> KernelVersion:
    """The version that a host runs. Raises RuleInputError where its release is not known or says none."""
    return parse(host.kernel or "", host.kernel_build or "")


def parse(release: str, build: str = "") -> KernelVersion:
    """The version in `release`, the text of `uname -r`: "6.18.44-fc-v769", "5.15.0-91-generic", "6.12-rc3", "7.2".

    `build`: what else the host says, for a release that hides its patch level: `uname -v` on Debian and
    /proc/version_signature on Ubuntu. A version of another series in it is not believed.
    Raises RuleInputError where it does not start with two numbers.
    """
    matched = _RELEASE.fullmatch(release.strip())
    if matched is None:
        raise RuleInputError(f"kernel release {release!r}: expected numbers first, as in 6.12.8-amd64 (`uname -r`)")
    major, minor, patch, suffix = matched.groups()
    hidden = patch == "0" and _PACKAGE_NUMBER.match(suffix) is not None
    known = _patch_level(build, (int(major), int(minor))) if hidden else int(patch or 0)
    return KernelVersion(major=int(major), minor=int(minor), patch=known, suffix=suffix)


def _patch_level(build: str, series: tuple[int, int]) -> int | None:
    named = (match for pattern in (_DEBIAN, _UBUNTU) for match in pattern.finditer(build))
    return next((int(match[3]) for match in named if (int(match[1]), int(match[2])) == series), None)
