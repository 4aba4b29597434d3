"""An address and a port as people write them, and as a URL does (RFC 3986, section 3.2.2); a UNIX socket's path."""

from __future__ import annotations

UNIX = "unix:"  # before the path of a UNIX socket, or before `@` and its abstract name: it has no port


def is_unix(address: str) -> bool:
    """Whether it names a UNIX socket: `unix:/run/app.sock`, `unix:@app`."""
    return address.startswith(UNIX)


def endpoint(address: str, port: int) -> str:
    """`10.0.0.5:80`, `[::1]:80`, `unix:/run/app.sock`. `address` is numeric, or a name."""
    if is_unix(address):
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
