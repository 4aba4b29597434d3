"""Records in, something a person reads out. `rich` is imported here and nowhere else, and by what prints alone."""
