"""The executor without a package of its own: one stage after another, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.scale import attempt
from pipeline.scale.attempt import Result
from pipeline.scale.plan import Plan


def run(
    plan: Plan, environment: Mapping[str, str], begin: Callable[[str], None], say: Callable[[str, str], None]
) -> Iterator[Result]:
    """Run the stages of a plan.

    Args:
        plan: the plan.
        environment: what each stage's processes get beside this one's environment.
        begin: is told the name of a stage that begins.
        say: is told a stage's name and a line that it prints.
    """
    bundle = Path(plan.bundle).read_bytes()
    for name in plan.work:
        begin(name)
        yield attempt.run(asdict(plan), name, bundle, environment, partial(say, name))
