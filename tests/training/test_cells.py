"""A cell's folder: what is written is what is read, and what is broken is refused by name."""

from __future__ import annotations

import io
import json
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from specnorm.errors import IntegrityError, SpecnormError
from specnorm.files import fingerprint, sha256_file
from specnorm.shards.store import Shards
from specnorm.training import cells, key
from specnorm.training.batches import Clips
from specnorm.training.key import CellKey
from tests import made_up
from tests.builders import edit, parquet_bomb
from tests.training import small

KEY = CellKey("global", 4, 3)
ORIGIN = cells.origin(
    KEY,
    dataset="of the clips",
    front_end="of the front end",
    normalizer="of the normaliser",
    model=small.MODEL,
    train=small.settings(),
)
RUN = {"device": "cpu", "device_name": "a CPU", "precision": "fp32", "train_seconds": 1.0, "total_seconds": 2.0}
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
    cells.write(tmp_path / "cell", result, clips, ORIGIN, RUN)
    assert {path.name for path in (tmp_path / "cell").iterdir()} == FILES
    found = cells.read(tmp_path / "cell")
    assert np.array_equal(found.probabilities, result.probabilities.double().numpy())  # every bit
    assert list(found.predictions["clip"]) == clips.names
    assert list(found.predictions["target"]) == targets.tolist()
    # pandas reads a decimal number to within a unit in the last place of float64.
    for row, expected in zip(found.history.to_dict("records"), result.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-15)
    assert found.run == {"format": key.FORMAT, **RUN}
    assert found.metrics["accuracy"] == 0.6
    assert found.metrics["clips"] == 5
    assert {name: found.metrics[name] for name in ORIGIN} == ORIGIN
    assert found.metrics["fingerprint"] == fingerprint(ORIGIN)
    assert found.key == KEY
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
        tmp_path, cells.Result(result.model, result.history, wide, [], "resident", "running"), clips, ORIGIN, RUN
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
    assert written[-1] == key.METRICS_FILE
    assert set(written[-5:]) == FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(cell: cells.StoredCell, name: str) -> None:
    (cell.folder / name).unlink()
    with pytest.raises(IntegrityError, match=rf"missing file in .*{name}"):
        cells.read(cell.folder)


@pytest.mark.parametrize("name", [cells.PREDICTIONS_FILE, cells.HISTORY_FILE, key.METRICS_FILE, key.RUN_FILE])
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


# What was changed together with its digest: an error that names file and value, never a traceback


def rewritten(cell: cells.StoredCell, name: str, data: bytes) -> None:
    (cell.folder / name).write_bytes(data)
    digest = sha256_file(cell.folder / name)
    edit(cell.folder / key.METRICS_FILE, lambda metrics: metrics["sha256"].update({name: digest}))


@pytest.mark.parametrize("name", ["norm", "fold", "seed", "dataset", "train", "accuracy", "loss", "clips", "sha256"])
@pytest.mark.parametrize("value", ["left out", None, True, ["1"]])
def test_a_value_of_the_metrics_that_is_none(cell: cells.StoredCell, name: str, value: object) -> None:
    """A regression: a null accuracy was a TypeError deep in the comparison."""
    path = cell.folder / key.METRICS_FILE
    edit(path, lambda metrics: metrics.pop(name) if value == "left out" else metrics.update({name: value}))
    with pytest.raises(IntegrityError, match=rf"damaged cell in .*seed-0/metrics\.json: got {name}"):
        cells.read(cell.folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("accuracy", 1.5), ("accuracy", -0.1), ("loss", -1.0), ("clips", 0), ("clips", 6.5), ("fold", 2.5)],
)
def test_a_value_of_the_metrics_that_cannot_be(cell: cells.StoredCell, name: str, value: float) -> None:
    edit(cell.folder / key.METRICS_FILE, lambda metrics: metrics.update({name: value}))
    with pytest.raises(IntegrityError, match=rf"damaged cell in .*metrics\.json: got {name}"):
        cells.read(cell.folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("precision", None),
        ("device", 3),
        ("device_name", None),
        ("train_seconds", "1.5"),
        ("total_seconds", None),
        ("total_seconds", -1.0),
    ],
)
def test_a_value_of_the_run_that_is_none(cell: cells.StoredCell, name: str, value: object) -> None:
    """A regression: a null precision and text for seconds were tracebacks in the report."""
    edit(cell.folder / key.RUN_FILE, lambda run: run.update({name: value}))
    with pytest.raises(IntegrityError, match=rf"damaged cell in .*seed-0/run\.json: got {name}"):
        cells.read(cell.folder)


@pytest.mark.parametrize("name", [key.METRICS_FILE, key.RUN_FILE])
def test_an_edited_value_and_the_format_of_before(cell: cells.StoredCell, name: str) -> None:
    path = cell.folder / name
    edit(path, lambda values: values.update(precision="bf16", accuracy=0.9), sealed=False)
    with pytest.raises(IntegrityError, match=rf"changed file in .*seed-0/{name}: expected SHA-256"):
        cells.read(cell.folder)
    edit(path, lambda values: values.pop("format"))
    with pytest.raises(IntegrityError, match=rf"wrong cell in .*seed-0/{name}: expected format 1$"):
        cells.read(cell.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("epoch", "round"), "expected a column epoch, got round, learning_rate"),
        (lambda text: text.replace("\n1,", "\none,"), "expected a whole number in column epoch"),
        (lambda text: text.replace("\n1,", "\n1.5,"), "expected a whole number in column epoch, got float64"),
        (lambda text: text.rpartition(",")[0] + ",high\n", "expected a number in column valid_accuracy"),
        (lambda text: text.rpartition(",")[0] + ",\n", "column valid_accuracy, got a value missing"),
        (lambda text: text + '"', "expected CSV, got"),
        (lambda text: text + "1,2,3,4,5,6,7\n", "expected CSV, got"),
        (lambda _: "", "expected CSV, got"),
    ],
)
def test_text_in_a_history(cell: cells.StoredCell, change: Callable[[str], str], message: str) -> None:
    """A regression: text stood in the curves until a picture was drawn of it."""
    rewritten(cell, cells.HISTORY_FILE, change((cell.folder / cells.HISTORY_FILE).read_text()).encode())
    with pytest.raises(IntegrityError, match=rf"wrong table in .*seed-0/history\.csv: .*{message}"):
        cells.read(cell.folder)


@pytest.mark.parametrize("data", [b"\xff\xfe,\n1,2\n", b"\0" * 50])
def test_a_history_that_is_no_text(cell: cells.StoredCell, data: bytes) -> None:
    rewritten(cell, cells.HISTORY_FILE, data)
    with pytest.raises(IntegrityError, match=r"wrong table in .*seed-0/history\.csv"):
        cells.read(cell.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="clip"), "expected a column clip, got target"),
        (lambda table: table.assign(clip=1), "expected text in column clip, got int64"),
        (lambda table: table.assign(target=0.5), "expected a whole number in column target, got float64"),
        (lambda table: table.assign(probability_1="high"), "expected a number in column probability_1"),
        (lambda table: table.assign(probability_1=None), "column probability_1, got a value missing"),
        (lambda table: table.iloc[1:], "expected 7 rows, got 6"),
    ],
)
def test_predictions_of_other_kinds(
    cell: cells.StoredCell, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    buffer = io.BytesIO()
    change(cell.predictions).to_parquet(buffer, index=False)
    rewritten(cell, cells.PREDICTIONS_FILE, buffer.getvalue())
    with pytest.raises(IntegrityError, match=rf"wrong table in .*seed-0/predictions\.parquet: .*{message}"):
        cells.read(cell.folder)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(50) + b"PAR1", b"a,b\n1,2\n"])
def test_predictions_that_are_no_parquet(cell: cells.StoredCell, data: bytes) -> None:
    rewritten(cell, cells.PREDICTIONS_FILE, data)
    with pytest.raises(IntegrityError, match=r"wrong table in .*predictions\.parquet: expected Parquet, got"):
        cells.read(cell.folder)


@pytest.mark.parametrize("says", [7, 10**8])
def test_predictions_of_a_hundred_million_rows_are_not_read(
    cell: cells.StoredCell, says: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(cell, cells.PREDICTIONS_FILE, parquet_bomb(10**8))
    edit(cell.folder / key.METRICS_FILE, lambda metrics: metrics.update(clips=says))
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(IntegrityError, match=r"wrong table in .*predictions\.parquet: expected .*got 100000000"):
        cells.read(cell.folder)


def header(text: str, body: bytes = b"", *, says: int | None = None) -> bytes:
    """A file of weights with this header."""
    data = text.encode()
    return (len(data) if says is None else says).to_bytes(8, "little") + data + body


@pytest.mark.case("T12")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        header("{}", says=10**9),
        header("{}", says=2**63),
        header("[]"),
        header("{"),
        header('{"a": 1}'),
        header('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', bytes(4)),
        header('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'),
        header('{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}', bytes(4)),
        header('{"a": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [0, 4]}}', bytes(4)),
        header('{"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}', bytes(4)),
        header(f'{{"a": {{"dtype": "F32", "shape": [{2**40}, {2**40}], "data_offsets": [0, 4]}}}}', bytes(4)),
        b"PK\x03\x04" + bytes(100),
        b"<html>not found</html>",
    ],
)
def test_weights_with_a_bad_header(cell: cells.StoredCell, data: bytes) -> None:
    """A regression: safetensors' own exceptions, which are no errors of ours, came through."""
    rewritten(cell, cells.MODEL_FILE, data)
    found = cells.read(cell.folder)
    try:
        state = cells.weights(found)
    except IntegrityError as error:
        message = str(error)
    else:  # newer versions know more types
        message = f"unreadable weights in seed-0/model.safetensors: expected safetensors, got {state}"
        assert b"F8_E8M0" in data or b"F4" in data
    assert "unreadable weights in " in message
    assert "seed-0/model.safetensors: expected safetensors, got " in message


class Sentinel:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.case("T12")
@pytest.mark.parametrize("how", ["pickle", "torch", "numpy", "zip bomb"])
def test_a_file_that_executes_on_loading_is_no_model(cell: cells.StoredCell, tmp_path: Path, how: str) -> None:
    sentinel, buffer = Sentinel(tmp_path / "executed"), io.BytesIO()
    if how == "pickle":
        pickle.dump(sentinel, buffer)
    elif how == "torch":
        torch.save({"x": sentinel}, buffer)
    elif how == "numpy":
        np.save(buffer, np.array([sentinel], dtype=object), allow_pickle=True)
    else:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.pkl", bytes(10_000_000))
    rewritten(cell, cells.MODEL_FILE, buffer.getvalue())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IntegrityError, match=r"unreadable weights in .*model\.safetensors"):
        cells.weights(cells.read(cell.folder))
    assert not (tmp_path / "executed").exists()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5_000  # kB: nothing was unpacked


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
