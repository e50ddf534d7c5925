"""Fuzz every reader: `make fuzz`, or `python -m tests.fuzz --seconds 600 --seed 0`.

Targets take turns until the time is over. A failure prints its target, its seed and its error, and its input is kept
below `.cache/fuzz/`; `--replay` with that folder reads it once more. The seed and the code alone decide the inputs, and
the time only how many there are.
"""

from __future__ import annotations

import argparse
import itertools
import re
import resource
import sys
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path

from tests.fuzz.harness import attack, try_one
from tests.fuzz.targets import TARGETS

KEPT = Path(".cache/fuzz")
EXAMPLES = 40  # of a target before the next one's turn
HANG_S = 30.0
MEMORY_BYTES = 8 * 2**30  # beyond what the imports have mapped: what asks for more gets an error and not the machine


def main(argv: list[str] | None = None) -> int:
    """Fuzz, or replay; the code is 1 where anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; may be given again")
    parser.add_argument("--replay", type=Path, help="the folder of a kept input")
    asked = parser.parse_args(argv)
    _bound_memory()
    if asked.replay is not None:
        named = asked.replay.resolve().parent.name
        print(try_one(next(target for name, target in TARGETS.items() if _slug(name) == named), asked.replay))
        return 0
    until = time.monotonic() + asked.seconds
    names = asked.target or list(TARGETS)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    failed: list[str] = []
    for turn in itertools.count():
        left = [name for name in names if name not in failed]
        if not left or time.monotonic() > until:
            break
        for name in left:
            seed = asked.seed * 1_000_003 + turn
            keep = KEPT / _slug(name) / str(seed)
            try:
                counts[name] += attack(
                    TARGETS[name], seed=seed, examples=EXAMPLES, keep=keep, until=until, hang_s=HANG_S
                )
            except Exception as error:
                failed.append(name)
                traceback.print_exception(error, limit=-8)
                print(
                    f"FAILED {name}, --seed {asked.seed}, turn {turn}: python -m tests.fuzz --replay '{keep}'",
                    flush=True,
                )
    for name in names:
        print(f"{name}: {counts[name]['read']} read, {counts[name]['refused']} refused")
    print(f"{sum(count.total() for count in counts.values())} inputs, {len(failed)} of {len(names)} targets failed")
    return 1 if failed else 0


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower())


def _bound_memory() -> None:
    if sys.platform == "linux":
        mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    sys.exit(main())
