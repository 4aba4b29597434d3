"""Fetching what the kernel shows: netlink and /proc on one side, records on the other. No judgement lives here."""
