"""Compose `conf/` into `params.yaml`, byte for byte as `dvc exp run` does. Run it with `make params`."""

from __future__ import annotations

import sys
from pathlib import Path

from dvc.utils.hydra import compose_and_dump


def main(overrides: list[str]) -> int:
    compose_and_dump("params.yaml", str(Path("conf").resolve()), None, "config", None, overrides)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
