"""The engine in C, built with faults.c."""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class FaultyC:
    """The engine at `path`, and what faults.c says of it."""

    def __init__(self, path: Path) -> None:
        loader = importlib.machinery.ExtensionFileLoader("_engine", str(path))
        spec = importlib.util.spec_from_loader("_engine", loader)
        assert spec is not None
        self.module = importlib.util.module_from_spec(spec)
        loader.exec_module(self.module)
        self.library = ctypes.CDLL(str(path))
        self.library.estab_fault_choose.argtypes = [
            ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong,
        ]  # fmt: skip
        for name in ("failed", "blocks_alive", "maps_alive"):
            getattr(self.library, f"estab_fault_{name}").restype = ctypes.c_long

    def run_client(self, block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
        self.module.run_client(block_fd, control_fd, config)

    def run_server(self, block_fd: int, control_fd: int, config: Mapping[str, Any], /) -> None:
        self.module.run_server(block_fd, control_fd, config)

    def choose(self, which: int, call: str, code: int, first: int, every: int) -> None:
        self.library.estab_fault_choose(which, call.encode(), code, first, every)

    def seen(self) -> dict[str, int]:
        library = self.library
        return {
            "failed": library.estab_fault_failed(),
            "blocks": library.estab_fault_blocks_alive(),
            "maps": library.estab_fault_maps_alive(),
        }
