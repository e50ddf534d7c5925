"""The measuring itself: turns, ratios, and what a new run keeps of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.measure import Figures, in_turns


def test_every_subject_has_its_turn_each_round_and_the_order_alternates() -> None:
    called: list[str] = []

    def subject(name: str, value: float):
        def measure() -> float:
            called.append(name)
            return value + called.count(name)

        return measure

    found = in_turns({"a": subject("a", 0), "b": subject("b", 10)}, 3)
    assert called == ["a", "b", "b", "a", "a", "b"]
    assert {name: figures.values for name, figures in found.items()} == {"a": [1, 2, 3], "b": [11, 12, 13]}


def test_a_ratio_is_formed_round_by_round() -> None:
    """On a machine that slows down by half in the second round, both figures halve and the ratio stays."""
    ours, theirs = Figures([30.0, 15.0, 31.0]), Figures([10.0, 5.0, 10.0])
    assert ours.over(theirs).values == pytest.approx([3.0, 3.0, 3.1])
    assert ours.over(theirs).text() == "3 (3 to 3.1)"
    with pytest.raises(ValueError, match="zip"):
        ours.over(Figures([1.0]))


def test_the_median_and_the_spread_are_told() -> None:
    assert Figures([5.0, 1.0, 2.0]).text() == "2 (1 to 5)"
    assert Figures([123.456, 120.0]).text(4) == "121.7 (120 to 123.5)"


def test_a_new_report_keeps_the_notes_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    assert bench.kept(path) == ""
    path.write_text("# Benchmarks\n\nfigures\n")
    assert bench.kept(path) == ""
    path.write_text(f"# Benchmarks\n\nfigures\n\n{bench.NOTES}\nA note.\n")
    assert bench.kept(path) == f"\n{bench.NOTES}\nA note.\n"
