"""The live view: snapshots in, what changes of them on the screen. The model is pure; terminal and clock stand apart.

What needs textual (`estab[watch]`) is in `estab.live.screen` alone.
"""
