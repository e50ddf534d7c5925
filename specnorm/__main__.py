"""The verdict for scripts and terminals: ``python -m specnorm.__main__ [--json] [FOLDER]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from specnorm.errors import SpecnormError
from specnorm.report import results, tables


def main(argv: list[str] | None = None) -> int:
    """Print the verdict in words, or as the JSON that ``docs/verdict.md`` describes; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m specnorm.__main__", description="Print a comparison's verdict.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data/comparison"), help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print verdict.json")
    parsed = parser.parse_args(argv)
    try:
        found = results.read(parsed.folder).verdict
    except SpecnormError as error:
        print(f"summary: {error}", file=sys.stderr)
        return error.exit_code
    if parsed.json:
        print(found.to_json(), end="")
        return 0
    print(f"{found.title}\n\n{found.recommendation}.\n")
    if found.caveat:
        print(f"{found.caveat}.\n")
    print(tables.summary_markdown(found))
    for pair in found.pairs:
        print(f"\n{pair.sentence}.", end="")
    for effect in found.noop.effects:
        print(f"\n{effect.sentence}.", end="")
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
