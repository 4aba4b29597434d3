"""An address and a port as people write them, and as a URL does (RFC 3986, section 3.2.2)."""

from __future__ import annotations


def endpoint(address: str, port: int) -> str:
    """`10.0.0.5:80`, `[::1]:80`. `address` is numeric, or a name."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
