"""DVC as it is, less its lines on outputs that no run has made yet; `python -m pipeline.quiet_dvc exp run` for example.

Before an experiment DVC puts every output back that it knows, and warns of each that it does not: of all of them, in a
fresh clone.
"""

from __future__ import annotations

import logging
import sys

from dvc.cli import main as dvc

from pipeline import command

_CHECKOUTS = ("dvc_data.index.checkout", "dvc_data.hashfile.checkout")


def main(argv: list[str]) -> int:
    for name in _CHECKOUTS:
        logging.getLogger(name).setLevel(logging.ERROR)
    return command.run("dvc", lambda: int(dvc(argv)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
