"""The commands there are, in the order in which --help lists them, each with its line there."""

from __future__ import annotations

COMMANDS = {
    "limits": "How many connections can I have: every limit from here to there, tightest first.",
    "serve": "Run a server to load: echo, sink or stall.",
    "bench": "Measure an echo server: requests per second, latency, and the limit that was met.",
    "hold": "Open many connections, hold them, close them: how many can I have?",
    "churn": "Connect and close in a loop, like clients without a connection pool.",
    "probe": "Try a path by a few connects: which cause is it, of those that look alike?",
    "run": "Run a command (a load tool, a client, a server), watch its connections, and judge them.",
    "attach": "Watch the connections of what already runs, and judge them.",
    "observe": "Print what the kernel shows as JSON lines: listeners, sockets, counters, limits.",
    "record": "Record this host for days, in little room, for estab diagnose.",
    "watch": "Watch listeners live: queues that fill, drops, ports. Record and replay.",
    "diagnose": "Find the cause in a recorded run or snapshots, or on this host now.",
    "explain": "Explain a cause: symptom, mechanism, what fixes it, what does nothing.",
    "report": "Make one HTML page of recorded runs: the verdict, its evidence, and the plots.",
    "compare": "Compare two runs, or repeated runs: what differs, and is it more than noise?",
    "export": "Export listeners, limits and causes to Prometheus.",
    "cluster": "Check the workers of a Dask cluster, which a load with --cluster runs on.",
    "lab": "Reproduce failures in network namespaces: predict, measure, find the cause, try each fix.",
    "completion": "Set up completion of commands, options and names for bash, zsh or fish.",
    "man": "Print the manual page, estab(1).",
}
# Those that have sub-commands: an app of their own, by the same name in their module.
GROUPS = frozenset({"cluster", "lab"})
