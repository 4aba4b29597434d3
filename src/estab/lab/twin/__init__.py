"""The twin: a recorded failure rebuilt in network namespaces, and each remedy tried on it.

`estab.lab.twin.session.twin` does it, and its `worker` works in namespaces. All else decides, and is pure.
"""
