"""The commands there are, in the order in which --help lists them, each with its line there."""

from __future__ import annotations

COMMANDS = {
    "limits": "How many connections can I have: every limit from here to there, the first to be met first.",
    "serve": "Run a server to load: echo, sink or stall.",
    "bench": "Measure an echo server: requests a second, latency, and which limit was met.",
    "hold": "Open many connections, hold them, close them: how many can I have?",
    "churn": "Connect and close in a loop, as clients without a connection pool do.",
    "observe": "See what the kernel shows: listeners, sockets, counters and limits, as lines of JSON.",
    "watch": "Watch listeners live: queues that fill, drops, ports; record and replay.",
    "diagnose": "Judge recorded runs and snapshots, or this host now.",
    "explain": "What a cause is: symptom, mechanism, what fixes it and what does nothing.",
    "report": "One self-contained HTML page of recorded runs: the verdict, its evidence, every plot behind it.",
    "compare": "Set two runs, or repeated runs, side by side: what differs, and is it more than noise?",
    "export": "Show listeners, limits and causes to Prometheus.",
    "cluster": "Ask the workers of a Dask cluster what they could generate; --cluster of a load runs it there.",
    "lab": "Reproduce failures in network namespaces: predicted, measured, judged, each remedy tried.",
    "completion": "Complete commands, options and names in bash, zsh or fish.",
    "man": "Print the manual page, estab(1).",
}
# Those that have sub-commands: an app of their own, by the same name in their module.
GROUPS = frozenset({"cluster", "lab"})
