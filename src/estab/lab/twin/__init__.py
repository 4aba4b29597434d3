"""The twin: a recorded failure rebuilt in network namespaces, and each remedy tried on it.

`estab.lab.twin.run.twin` does it. `plan`, `scaling`, `remedies` and `nearness` decide, and are pure; `play` and `hand`
work in namespaces.
"""
