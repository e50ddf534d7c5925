"""What a page says of where its figures come from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from specnorm.report.provenance import provenance
from tests import made_up
from tests.builders import front_end_params
from tests.training import small


def test_where_cells_differ_all_that_there_was_is_told(tmp_path: Path) -> None:
    shards = made_up.write_shards(tmp_path / "shards")
    shards.manifest["dataset"]["origin"] = "clips.zip"
    cell = made_up.write_cell(tmp_path / "cells", shards, "none", 1)
    other = dataclasses.replace(cell, run={**cell.run, "device_name": "a GPU", "precision": "bf16"})
    found = provenance([cell, other, cell], shards, front_end_params(), small.MODEL, small.settings(epochs=7))
    assert found["data set"] == "clips.zip, content digest the clips"
    assert found["device"] == "a CPU, a GPU; bf16, fp32; threads of a cell: 1"
    assert found["versions"] == "Python 3.11.7, torch 2.11.0"
    assert found["training"].startswith("epochs 7, batch_size 4")
    assert "memory_gb" not in found["training"]  # it changes no result
    assert "top_db" not in found["front end"]  # there is none
