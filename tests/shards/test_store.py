from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from specnorm import files
from specnorm.errors import DataError, IntegrityError, ResourceError
from specnorm.params import WAVEFORMS
from specnorm.shards import store, writer
from tests.builders import LABELS, clip_table, front_end_params, levels, tree, write_shards
from tests.fuzz.seals import digests, reseal


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    raw, standardized = levels(seed=1), levels(seed=2)
    found = write_shards(tmp_path, raw, standardized)
    assert found.folds == [1, 2, 3]
    for fold in found.folds:
        for waveform, written in zip(WAVEFORMS, (raw, standardized), strict=True):
            values = found.parts(waveform, fold)[0]
            assert values.dtype == np.float32
            assert values.tobytes() == written[fold].tobytes()
            assert values.shape == (4, 1, 9, 6)


def test_a_shard_is_mapped_and_cannot_be_changed(tmp_path: Path) -> None:
    values = write_shards(tmp_path, levels()).parts("raw", 1)[0]
    assert isinstance(values, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 0


def test_the_folder_holds_what_the_manifest_names_and_nothing_else(tmp_path: Path) -> None:
    found = write_shards(tmp_path, levels())
    on_disk = tree(tmp_path)
    listed = {name: entry["sha256"] for name, entry in found.manifest["shards"].items()}
    assert {*on_disk} == {*listed, "clips.parquet", "manifest.json"}
    assert listed.items() <= on_disk.items()
    assert found.manifest["index"] == {"sha256": on_disk["clips.parquet"], "clips": 12}
    assert found.manifest["front_end"]["amin"] == 1e-10
    assert found.front_end_fingerprint == files.fingerprint(found.manifest["front_end"])
    assert found.dataset_digest == "of the clips"


def test_the_fingerprint_follows_the_front_end(tmp_path: Path) -> None:
    one = write_shards(tmp_path / "one", levels())
    other = write_shards(tmp_path / "other", levels(), amin=1e-9)
    assert one.front_end_fingerprint != other.front_end_fingerprint


@pytest.mark.case("F14")
def test_the_clips_of_a_fold_stand_in_the_order_of_its_rows(tmp_path: Path) -> None:
    written = write_shards(tmp_path, levels(folds=(2, 1)))
    shuffled = written.clips.sample(frac=1, random_state=0)
    found = store.Shards(tmp_path, written.manifest, shuffled).of_fold(2)
    assert shuffled.loc[shuffled["fold"] == 2, "row"].tolist() != [0, 1, 2, 3]
    assert found["row"].tolist() == list(found.index) == [0, 1, 2, 3]
    assert found["clip"].tolist() == [f"2-{row}.wav" for row in range(4)]


def test_the_classes_stand_in_the_order_of_their_targets(tmp_path: Path) -> None:
    assert write_shards(tmp_path, levels()).classes == list(LABELS) == ["rain", "dog"]


def test_a_fold_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such shard.*expected folds \[1, 2, 3\], got raw/fold-9\.npy"):
        write_shards(tmp_path, levels()).parts("raw", 9)[0]


def test_the_writer_makes_numpys_own_bytes(tmp_path: Path) -> None:
    [values] = levels(folds=(1,)).values()
    shard = writer.ShardWriter(tmp_path / "a.npy", *values.shape[:1], *values.shape[2:])
    for row in values:
        shard.append(row)
    entry = shard.finish()
    expected = io.BytesIO()
    np.save(expected, values)
    assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()
    assert entry == {"sha256": files.sha256_file(tmp_path / "a.npy"), "shape": [4, 1, 9, 6], "dtype": "float32"}


def test_a_row_that_is_not_contiguous_is_written_in_order(tmp_path: Path) -> None:
    row = np.arange(54, dtype=np.float32).reshape(6, 9).T[None]  # [1, 9, 6]
    with writer.ShardWriter(tmp_path / "a.npy", 1, 9, 6) as shard:
        shard.append(row)
        shard.finish()
    assert np.array_equal(np.load(tmp_path / "a.npy")[0], row)


@pytest.mark.parametrize("shape", [(9, 6), (1, 6, 9), (1, 9, 7), (1, 1, 9, 6), ()])
def test_a_row_of_another_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with (
        writer.ShardWriter(tmp_path / "a.npy", 2, 9, 6) as shard,
        pytest.raises(ValueError, match=r"row 0 of \(2, 1, 9, 6\)"),
    ):
        shard.append(np.zeros(shape, np.float32))


def test_a_row_too_many(tmp_path: Path) -> None:
    with writer.ShardWriter(tmp_path / "a.npy", 1, 9, 6) as shard:
        shard.append(np.zeros((1, 9, 6), np.float32))
        with pytest.raises(ValueError, match=r"row 1 of \(1, 1, 9, 6\)"):
            shard.append(np.zeros((1, 9, 6), np.float32))


def test_a_row_too_few(tmp_path: Path) -> None:
    with writer.ShardWriter(tmp_path / "a.npy", 2, 9, 6) as shard:
        shard.append(np.zeros((1, 9, 6), np.float32))
        with pytest.raises(ValueError, match="1 of 2 rows"):
            shard.finish()


@pytest.mark.parametrize("wrong", ["an error", "too few", "too many", "a variant missing"])
def test_rows_that_break_off_leave_no_file_and_no_open_handle(tmp_path: Path, wrong: str) -> None:
    row = np.zeros((1, 9, 6), np.float32)

    def rows() -> Iterator[dict[Any, Any]]:
        yield {"raw": row, "standardized": row}
        if wrong == "an error":
            raise DataError("bad clip", where="b.wav")
        if wrong == "a variant missing":
            yield {"raw": row}
        if wrong == "too many":
            yield from [{"raw": row, "standardized": row}] * 2

    # An open handle would be a ResourceWarning, and so a failure.
    with pytest.raises((DataError, ValueError, KeyError)):
        writer.write_part(tmp_path, 1, 2, 9, 6, rows())
    assert tree(tmp_path) == {}


def test_a_failed_fold_leaves_the_old_one(tmp_path: Path) -> None:
    write_shards(tmp_path, levels())
    before = tree(tmp_path)
    with pytest.raises(ValueError, match="0 of 2 rows"):
        writer.write_part(tmp_path, 1, 2, 9, 6, [])
    assert tree(tmp_path) == before


@pytest.mark.case("F10")
def test_without_a_manifest_nothing_is_built(tmp_path: Path) -> None:
    row = np.zeros((1, 9, 6), np.float32)
    writer.write_part(tmp_path, 1, 1, 9, 6, [{"raw": row, "standardized": row}])
    with pytest.raises(IntegrityError, match=r"missing file in .*manifest\.json"):
        store.open_shards(tmp_path)


def test_the_manifest_comes_after_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = np.zeros((1, 9, 6), np.float32)
    entries = writer.write_part(tmp_path, 1, 1, 9, 6, [{"raw": row, "standardized": row}])
    there: list[set[str]] = []

    def write_sealed(path: Path, value: Any) -> None:
        there.append({*tree(tmp_path)})
        files.write_sealed(path, value)

    monkeypatch.setattr(writer, "write_sealed", write_sealed)
    writer.write_index(tmp_path, clip_table({1: 1}), entries, front_end={"amin": 1e-10}, dataset={"digest": "d"})
    assert there == [{"raw/fold-1.npy", "standardized/fold-1.npy", "clips.parquet"}]
    assert store.open_shards(tmp_path).folds == [1]


def test_an_index_that_cannot_be_written_leaves_no_manifest(tmp_path: Path) -> None:
    table = clip_table({1: 1}).assign(source=[object()])
    with pytest.raises(Exception, match=r"(?i)convert|object"):
        writer.write_index(tmp_path, table, {}, front_end={"amin": 1e-10}, dataset={"digest": "d"})
    assert tree(tmp_path) == {}


def test_invalidating_removes_the_manifest_alone(tmp_path: Path) -> None:
    write_shards(tmp_path, levels())
    before = tree(tmp_path)
    writer.invalidate(tmp_path)
    assert {*before} - {*tree(tmp_path)} == {"manifest.json"}
    writer.invalidate(tmp_path)
    writer.invalidate(tmp_path / "never there")


def test_a_manifest_that_cannot_be_removed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"cannot remove a file in .*manifest\.json"):
        writer.invalidate(tmp_path / "file")


@pytest.mark.case("F9")
@pytest.mark.parametrize(
    "header", ["{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "{\0}", "{)", "(", "é"]
)
def test_an_npy_header_that_numpy_stumbles_over(tmp_path: Path, header: str) -> None:
    """The digest was edited to match, so that numpy's parser gets to see it; it raises what its own words leave out."""
    found = write_shards(tmp_path, levels())
    before, path = digests(tmp_path), tmp_path / "raw/fold-2.npy"
    written = header.encode("latin-1").ljust(117) + b"\n"
    path.write_bytes(path.read_bytes()[:8] + len(written).to_bytes(2, "little") + written + bytes(4 * 9 * 6 * 4))
    reseal(tmp_path, before)
    with pytest.raises(IntegrityError, match=r"^wrong shard in .*raw/fold-2\.npy: expected an NPY array, got "):
        store.open_shards(tmp_path).parts("raw", 2)[0]
    assert len(found.parts("raw", 1)[0]) == 4


def test_the_index_keeps_more_columns(tmp_path: Path) -> None:
    table = clip_table({1: 2}).assign(seconds=[5.0, 4.5], warnings=["", "strange"])
    writer.write_index(tmp_path, table, {}, front_end={"amin": 1e-10}, dataset={"digest": "d"})
    pd.testing.assert_frame_equal(store.open_shards(tmp_path).clips, table)


def test_the_builder_is_the_front_end_that_it_says() -> None:
    params = front_end_params()
    assert (params.bins, params.frames) == (9, 6)
