"""estab: why do my TCP connections fail, and how many can I have?"""

from __future__ import annotations

__version__ = "0.1.0"
