"""Panels are in rows of a page's width, and families stay together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from specnorm.report.panels import MOST, rows_of
from tests.report import twenty


def test_as_many_as_fit_stand_in_one_row_in_their_own_order() -> None:
    families = {"a": "x", "b": "y", "c": "x"}
    assert rows_of(families) == [["a", "b", "c"]]


def test_a_family_is_not_broken_where_a_row_holds_it() -> None:
    rows = rows_of(twenty.FAMILIES)
    assert [len(row) for row in rows] == [2, 6, 4, 6, 2]
    assert rows[3] == ["sliding_short", "sliding_long", "exponential", "pcen", "pcen_trained", "relative_floor"]


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=40))
def test_every_mode_has_one_place_beside_its_family(drawn: list[str]) -> None:
    families = {f"mode {index}": family for index, family in enumerate(drawn)}
    rows = rows_of(families)
    placed = [mode for row in rows for mode in row]
    assert sorted(placed) == sorted(families)
    assert all(0 < len(row) <= MOST for row in rows)
    if len(rows) > 1:
        in_turn = [families[mode] for mode in placed]
        assert in_turn == sorted(in_turn, key=list(dict.fromkeys(drawn)).index)
        for family in set(drawn):
            if drawn.count(family) <= MOST:
                assert sum(any(families[mode] == family for mode in row) for row in rows) == 1
