"""Remedies of a verdict, each tried on the setup that it was given for: as a change (express), run (trials), told."""
