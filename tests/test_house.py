"""What the house style asks of every module, where no linter does."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("specnorm", "pipeline", "stages")
MODULES = sorted(path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_one_idea(module: str) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= 300


def test_the_formatter_formats_every_line() -> None:
    folders = (*ROOMS, "tests", "benchmarks")
    mark = "# fmt: " + "skip"
    assert not [path for folder in folders for path in (ROOT / folder).rglob("*.py") if mark in path.read_text()]
