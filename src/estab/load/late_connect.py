"""One more connect while others are held, where connects were refused: is it refused still? Bounded in time."""

from __future__ import annotations

import socket

from estab.load.block import OWN_TIMEOUT, code_name
from estab.load.plan import Address

_LONGEST_S = 1.0


def outcome(target: Address, source: str | None = None) -> str | None:
    """The errno that connect() gives, or `own_timeout` after a second. None: it connected, and was closed again."""
    host, port, scope = target
    is_v6 = ":" in host
    try:
        with socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET) as asking:
            if source is not None:
                asking.bind((source, 0))
            asking.settimeout(_LONGEST_S)
            asking.connect((host, port, 0, scope) if is_v6 else (host, port))
    except TimeoutError:
        return code_name(OWN_TIMEOUT)
    except OSError as error:
        return code_name(error.errno or 0)
    return None
