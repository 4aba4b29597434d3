"""Recordings: snapshots in files and in directories of segments, written and read one after the other."""
