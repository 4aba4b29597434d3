"""How much data a segment can have: RFC 1122 says it, and docs/kernel.md has no rule of it."""

from __future__ import annotations

SMALL_MSS = 536
"""Bytes of data that fit into a packet of 576, which every IPv4 host and path takes (RFC 1122, 3.3.3 and 4.2.2.6)."""
