"""The collectors of `kernel.formats.inet_diag`, carried out in C where the engine is built.

36,000 sockets are counted in a few milliseconds; the specification in Python takes some fifty times as long and stands
in where the extension is missing.
"""

from __future__ import annotations

from estab.kernel.formats.inet_diag import Census, Established

try:
    from estab import _engine
except ImportError:  # running from a source tree without a compiler
    EngineCensus: type[Census] = Census
    EngineEstablished: type[Established] = Established
else:

    class _EngineCensus(Census):
        def _count(self, data: bytes | memoryview) -> tuple[int, int]:
            return _engine.census(data, self._counts, self.ports, self.peers, self.sources)

    class _EngineEstablished(Established):
        def _pack(self, data: bytes | memoryview) -> tuple[int, int]:
            packed, offset, flags = _engine.established(data, self.at_server)
            self.packed += packed
            return offset, flags

    EngineCensus, EngineEstablished = _EngineCensus, _EngineEstablished

__all__ = ["EngineCensus", "EngineEstablished"]
