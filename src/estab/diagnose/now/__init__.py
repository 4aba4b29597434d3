"""What snapshots show of each suspect without a run: pure looks, `Seen` in, `Found` out. One module for each kind."""
