"""A cell's folder: what is written is what is read, and what is broken is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from specnorm.errors import IntegrityError, SpecnormError
from specnorm.shards.store import Shards
from specnorm.training import cells
from specnorm.training.batches import Clips
from tests import made_up

FILES = {"model.safetensors", "history.csv", "predictions.parquet", "metrics.json", "run.json"}


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return made_up.write_shards(tmp_path / "shards")


@pytest.fixture
def cell(tmp_path: Path, shards: Shards) -> cells.StoredCell:
    return made_up.write_cell(tmp_path / "cells", shards, "global", 2, right=4)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    targets = np.array([0, 1, 2, 0, 1])
    result = made_up.result(targets, 3)
    clips = Clips((np.zeros((5, 1, 2, 2), np.float32),), torch.from_numpy(targets), ["a", "b", "c", "d", "e"])
    identity = {"norm": "global", "fold": 4, "seed": 3, "fingerprint": "f00d"}
    cells.write(tmp_path / "cell", result, clips, identity, {"device": "cpu"})
    assert {path.name for path in (tmp_path / "cell").iterdir()} == FILES
    found = cells.read(tmp_path / "cell")
    assert np.array_equal(found.probabilities, result.probabilities.double().numpy())  # every bit
    assert list(found.predictions["clip"]) == clips.names
    assert list(found.predictions["target"]) == targets.tolist()
    # pandas reads a decimal number to within a unit in the last place of float64.
    for row, expected in zip(found.history.to_dict("records"), result.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-15)
    assert found.run == {"device": "cpu"}
    assert found.metrics["accuracy"] == 0.6
    assert found.metrics["clips"] == 5
    assert {name: found.metrics[name] for name in identity} == identity
    weights = load_file(tmp_path / "cell" / cells.MODEL_FILE)
    assert all(torch.equal(weights[name], value) for name, value in result.model.state_dict().items())


def test_probabilities_sum_to_one_and_stand_in_the_order_of_the_targets(cell: cells.StoredCell) -> None:
    names = [name for name in cell.predictions.columns if name.startswith(cells.PROBABILITY)]
    assert names == ["probability_0", "probability_1", "probability_2"]
    # Three float32 roundings of at most 6e-8 each.
    np.testing.assert_allclose(cell.probabilities.sum(axis=1), 1.0, rtol=0, atol=2e-7)
    right = cell.probabilities.argmax(axis=1) == cell.predictions["target"].to_numpy()
    assert right.tolist() == [True] * 4 + [False] * 3


def test_eleven_classes_keep_their_order(tmp_path: Path) -> None:
    """probability_10 comes after probability_9, not after probability_1."""
    result = made_up.result(np.array([0]), 1)
    wide = torch.arange(11.0)[None] / 55
    clips = Clips((np.zeros((1, 1, 2, 2), np.float32),), torch.tensor([10]), ["a"])
    cells.write(
        tmp_path, cells.Result(result.model, result.history, wide, [], "resident"), clips, {"fingerprint": ""}, {}
    )
    np.testing.assert_allclose(cells.read(tmp_path).probabilities[0], np.arange(11) / 55, rtol=1e-6)  # float32


def test_metrics_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    replace = Path.replace

    def spy(self: Path, target: Path) -> Path:
        written.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    made_up.write_cell(tmp_path / "cells", made_up.write_shards(tmp_path / "shards"), "none", 1)
    assert written[-1] == cells.METRICS_FILE
    assert set(written[-5:]) == FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(cell: cells.StoredCell, name: str) -> None:
    (cell.folder / name).unlink()
    with pytest.raises(IntegrityError, match=rf"missing file in .*{name}"):
        cells.read(cell.folder)


@pytest.mark.parametrize("name", [cells.PREDICTIONS_FILE, cells.HISTORY_FILE, cells.METRICS_FILE, cells.RUN_FILE])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe"], ids=["empty", "no text"])
def test_a_damaged_file_is_refused(cell: cells.StoredCell, name: str, data: bytes) -> None:
    (cell.folder / name).write_bytes(data)
    with pytest.raises(IntegrityError, match=str(cell.folder)):
        cells.read(cell.folder)


@pytest.mark.parametrize("name", [cells.PREDICTIONS_FILE, cells.HISTORY_FILE])
def test_a_damaged_table_is_named(cell: cells.StoredCell, name: str) -> None:
    (cell.folder / name).write_bytes(b"")
    with pytest.raises(IntegrityError, match=rf"seed-0/{name}: "):
        cells.read(cell.folder)


@pytest.mark.parametrize("name", [cells.HISTORY_FILE, cells.PREDICTIONS_FILE])
def test_a_file_of_another_run_of_the_cell_is_refused(tmp_path: Path, shards: Shards, name: str) -> None:
    """Readable and of the right clips, as an edited table is, but not what was written with the metrics."""
    cell, other = (
        made_up.write_cell(tmp_path / place, shards, "none", 1, right=right) for place, right in (("a", 3), ("b", 4))
    )
    (cell.folder / name).write_bytes((other.folder / name).read_bytes())
    with pytest.raises(IntegrityError, match=rf"changed file in .*seed-0/{name}: expected SHA-256"):
        cells.read(cell.folder)


def test_weights_are_read_as_written_or_not_at_all(cell: cells.StoredCell) -> None:
    written = load_file(cell.folder / cells.MODEL_FILE)
    assert all(torch.equal(value, written[name]) for name, value in cells.weights(cell).items())
    data = bytearray((cell.folder / cells.MODEL_FILE).read_bytes())
    data[-1] ^= 1  # the last bit of a weight: safetensors alone would not notice
    (cell.folder / cells.MODEL_FILE).write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=r"changed file in .*model\.safetensors"):
        cells.weights(cell)


def test_a_parquet_file_cut_or_changed_anywhere_never_crashes(cell: cells.StoredCell) -> None:
    path = cell.folder / cells.PREDICTIONS_FILE
    good = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for trial in range(150):
        data = bytearray(good)
        place = int(generator.integers(len(good)))
        if trial % 2:
            data[place] ^= 1 << int(generator.integers(8))
        else:
            del data[place:]
        path.write_bytes(bytes(data))
        try:
            cells.read(cell.folder)
        except SpecnormError:
            refused += 1
    assert refused == 150


def test_clips_come_in_the_order_of_folds_and_rows(shards: Shards) -> None:
    clips = cells.clips_of(shards, "raw", [3, 1])
    assert clips.names == [f"{fold}-{row}.wav" for fold in (3, 1) for row in range(made_up.PER_FOLD)]
    assert clips.targets.tolist() == [row % 3 for row in range(made_up.PER_FOLD)] * 2
    assert [part.shape for part in clips.parts] == [(7, 1, 2, 2)] * 2
    assert clips.nbytes == 14 * 4 * 4
    assert all(isinstance(part, np.memmap) for part in clips.parts)  # on the disk until a batch is made of them


def test_a_number_that_is_none_is_never_written(tmp_path: Path, shards: Shards) -> None:
    """JSON has no NaN; a reader in another language would fail on it."""
    made_up.write_cell(tmp_path / "cells", shards, "none", 1)
    text = (tmp_path / "cells/none/fold-1/seed-0/metrics.json").read_text(encoding="utf-8")
    assert json.loads(text)["norm"] == "none"
    assert "NaN" not in text
