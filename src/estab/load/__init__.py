"""Load: the plan (pure), the processes that carry it out, and the shared block that they count in."""
