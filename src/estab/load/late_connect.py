"""One more connect while others are held, where connects were refused: is it refused still? Bounded in time."""

from __future__ import annotations

import socket

from estab.load.addresses import socket_address
from estab.load.block import OWN_TIMEOUT, code_name
from estab.load.plan import Address

_LONGEST_S = 1.0


def outcome(target: Address, source: str | None = None) -> str | None:
    """The errno that connect() gives, or `own_timeout` after a second. None: it connected, and was closed again."""
    family, address = socket_address(target)
    try:
        with socket.socket(family) as asking:
            if source is not None:
                asking.bind((source, 0))
            asking.settimeout(_LONGEST_S)
            asking.connect(address)
    except TimeoutError:
        return code_name(OWN_TIMEOUT)
    except OSError as error:
        return code_name(error.errno or 0)
    return None
