"""Records the run of one scenario of the lab, as a user's own run would be: for the twin to rebuild.

Started as `python recorder.py FILE SCENARIO JSON-OF-SETTINGS`, with a standard input that stays open while it runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from estab.lab.parts.scenario import made
from estab.lab.process.isolation import isolate
from estab.lab.stage import running
from estab.records import encode


def main() -> None:
    """Runs it in namespaces, and writes the run."""
    file, name, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    isolate()
    file.write_bytes(encode(running.run(made(name, settings).setup())))


if __name__ == "__main__":
    main()
