"""The entries, a module a topic; each lists its own in `SITUATIONS`."""
