"""One load on many hosts, on Dask: the command's side (`run`, `check`) and what its workers run (`generate`, `attend`).

What lives here: choosing workers, agreeing on a start, following the run, and joining what came of it. What a host does
is `estab.api`'s, as on one host. Nothing here is imported by other commands: Dask is loaded when it is asked for.
"""
