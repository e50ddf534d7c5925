"""The executor without a package of its own: one stage after another, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from pipeline.scale import attempt
from pipeline.scale.attempt import Result


def run(
    plan_file: Path, names: list[str], environment: Mapping[str, str], say: Callable[[str, str], None]
) -> Iterator[Result]:
    """Run stages of a plan.

    Args:
        plan_file: the plan.
        names: of the stages.
        environment: what each one's processes get beside this one's environment.
        say: is told a stage's name and a line that it prints.
    """
    for name in names:
        yield attempt.run(plan_file, name, environment, partial(say, name))
