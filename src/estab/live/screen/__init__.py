"""The live view on a terminal, with textual. What is shown and why is decided in `estab.live`; this draws it."""
