"""What cannot fit is refused before anything is opened, with every limit that is too narrow."""

from __future__ import annotations

import pytest

import estab
from estab.api.machine import check_fits, machine
from estab.load.plan import ClientLoad
from estab.observe import host, system


def load(connections: int) -> ClientLoad:
    return ClientLoad("hold", connections, 1.0)


def give_memory(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    monkeypatch.setattr(system, "read_memory_available", lambda: available)


def test_memory_is_reckoned_first(monkeypatch: pytest.MonkeyPatch) -> None:
    give_memory(monkeypatch, 2_000_000_000)
    with pytest.raises(estab.MachineError) as refusal:
        check_fits(load(1_000_000), machine(), embedded=True)
    said = str(refusal.value)
    assert said.startswith("1,000,000 connections do not fit: memory allows ")
    assert "GB needed, 2.0 GB available" in said
    assert said.endswith("`estab limits` shows the whole ladder")
    check_fits(load(100_000), machine(), embedded=True)


def test_half_the_ends_take_half_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    give_memory(monkeypatch, 1_400_000_000)
    check_fits(load(250_000), machine(), embedded=False)
    with pytest.raises(estab.MachineError, match="memory"):
        check_fits(load(250_000), machine(), embedded=True)


def test_the_narrowest_limit_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    give_memory(monkeypatch, 1_000_000_000)
    monkeypatch.setattr(host, "open_files_left", lambda: 3_000)
    with pytest.raises(estab.MachineError, match=r"fs\.file-max allows 1,500 .*, memory allows"):
        check_fits(load(2_000_000), machine(), embedded=True)


def test_root_is_exempt_from_file_max(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_effective_capabilities", lambda: 1 << 21)
    assert host.open_files_left() is None
    monkeypatch.setattr(host, "_effective_capabilities", lambda: 0)
    left = host.open_files_left()
    assert left is not None
    assert left > 0
