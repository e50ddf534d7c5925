"""A cell has one identity, which folders, messages and tables take their words from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipeline import places
from specnorm.errors import IntegrityError
from specnorm.training.key import CellKey
from tests import made_up


def test_it_is_what_metrics_say_and_nothing_else() -> None:
    metrics = {"norm": "global", "fold": 2, "seed": 7, "accuracy": 0.5}
    assert CellKey.of(metrics) == CellKey("global", 2, 7)
    assert dataclasses.asdict(CellKey.of(metrics)) == {"norm": "global", "fold": 2, "seed": 7}


@pytest.mark.parametrize("name", ["norm", "fold", "seed"])
@pytest.mark.parametrize("value", [None, 1.5, True, ["global"]])
def test_metrics_that_say_something_else_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} "):
        CellKey.of({"norm": "global", "fold": 2, "seed": 7, name: value})


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


def test_a_stored_cell_knows_its_key_or_names_the_file(tmp_path: Path) -> None:
    cell = made_up.write_cell(tmp_path / "cells", made_up.write_shards(tmp_path / "shards"), "none", 3, 1)
    assert cell.key == CellKey("none", 3, 1)
    del cell.metrics["fold"]
    with pytest.raises(IntegrityError, match=r"damaged cell in .*none/fold-3/seed-1/metrics\.json"):
        _ = cell.key
