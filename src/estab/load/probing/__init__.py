"""Probes: a few connects, requests or pings of their own, bounded in number and time, that tell causes apart.

What lives here: the sockets of each probe. What never may: what its outcome means, which `diagnose` says.
"""
