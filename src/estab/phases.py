"""The phases of a connection in which it can fail, and what no errno tells. Names alone: workers import them."""

PHASES = ("connect", "write", "read", "reply", "close", "accept", "status")
# What no errno tells: the engine's.
OWN_CODES = ("own_timeout", "eof", "wrong_bytes", "other", "malformed", "header_too_long", "excess_bytes")
