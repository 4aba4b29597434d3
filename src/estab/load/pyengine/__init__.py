"""The engine in plain Python: the executable specification of `_engine`, chosen by ESTAB_ENGINE=python.

Same contract, same counts, same failures; one suite of tests runs on both. It is not meant to be fast.
"""

from estab.load.pyengine.server import run_server
from estab.load.pyengine.workloads import run_client

__all__ = ["run_client", "run_server"]
