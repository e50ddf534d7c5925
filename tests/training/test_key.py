"""A cell has one identity, which folders, messages and tables take their words from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline import places
from specnorm.training.key import CellKey
from tests import made_up


def test_it_is_a_line_a_folder_and_an_order() -> None:
    key = CellKey("none", 10, 0)
    assert str(key) == "none fold 10 seed 0"
    assert places.cell_folder(key) == Path("data/cells/none/fold-10/seed-0")
    keys = [CellKey("none", 10, 0), CellKey("none", 2, 1), CellKey("global", 3, 0), CellKey("none", 2, 0)]
    assert [str(key) for key in sorted(keys)] == [
        "global fold 3 seed 0",
        "none fold 2 seed 0",
        "none fold 2 seed 1",
        "none fold 10 seed 0",
    ]
    assert len({*keys, CellKey("none", 2, 0)}) == 4


def test_a_stored_cell_knows_its_key(tmp_path: Path) -> None:
    cell = made_up.write_cell(tmp_path / "cells", made_up.write_shards(tmp_path / "shards"), "none", 3, 1)
    assert cell.key == CellKey("none", 3, 1)
    assert dataclasses.asdict(cell.key) == {"norm": "none", "fold": 3, "seed": 1}
