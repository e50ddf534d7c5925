"""Few modes have a panel each, many share one with their family, and panels stand in rows of a page's width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from specnorm.report.panels import MOST, by_family, columns_of


def test_few_modes_have_a_panel_each_in_their_own_order() -> None:
    assert by_family({"a": "x", "b": "y", "c": "x"}) == {"a": ["a"], "b": ["b"], "c": ["c"]}


@given(st.lists(st.sampled_from("abcde"), min_size=MOST + 1, max_size=40))
def test_every_one_of_many_modes_has_one_place_with_its_family(drawn: list[str]) -> None:
    families = {f"mode {index}": family for index, family in enumerate(drawn)}
    groups = by_family(families)
    assert {mode: family for family, modes in groups.items() for mode in modes} == families
    assert sum(map(len, groups.values())) == len(families)


@given(st.integers(1, 40), st.booleans())
def test_panels_fill_their_rows(panels: int, narrow: bool) -> None:
    columns = columns_of(panels, narrow=narrow)
    assert 1 <= columns <= (2 if narrow else 4)
    rows = -(-panels // columns)
    assert rows == -(-panels // (2 if narrow else 4))  # no row more than there must be
