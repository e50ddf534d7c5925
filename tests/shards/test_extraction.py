from __future__ import annotations

import shutil
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from specnorm import files
from specnorm.audio.decode import decode
from specnorm.audio.front_end import FrontEnd, describe
from specnorm.audio.waveform import prepare
from specnorm.errors import DataError, IntegrityError, ResourceError, SpecnormError
from specnorm.params import WAVEFORMS
from specnorm.shards import extraction, parts, room, writer
from specnorm.shards.extraction import extract
from specnorm.shards.room import AHEAD
from specnorm.shards.store import open_shards
from specnorm.statistics import training_set
from specnorm.statistics.moments import Moments
from specnorm.statistics.part import PartMoments
from tests.builders import EXACT, FLOOR_DB, Array, MemoryDataset, edit, front_end_params, noise, tree
from tests.faults.bad_wav import float_wav, wav

PARAMS = front_end_params()


def clips(folds: int = 3, number: int = 4) -> dict[tuple[str, int], Array]:
    return {
        (f"{fold}-{n}.wav", fold): noise(seed=10 * fold + n) for n in range(number) for fold in range(1, folds + 1)
    }  # the folds' clips alternate in the table


def run(dataset: MemoryDataset, folder: Path, *, workers: int | None = 1) -> list[str]:
    return extract(dataset, PARAMS, folder, workers=workers)  # type: ignore[arg-type]


@pytest.mark.usefixtures("one_thread")
def test_the_rows_are_each_clips_own_spectrograms_in_the_order_of_the_table(tmp_path: Path) -> None:
    dataset = MemoryDataset(clips())
    assert run(dataset, tmp_path) == []
    found = open_shards(tmp_path)
    front_end = FrontEnd(PARAMS)
    assert found.folds == [1, 2, 3]
    for fold in found.folds:
        table = found.of_fold(fold)
        wanted = dataset.clips[dataset.clips["fold"] == fold]
        assert table["row"].tolist() == [0, 1, 2, 3]
        for column in ("clip", "target", "label", "source"):
            assert table[column].tolist() == wanted[column].tolist()
        for row, name in enumerate(table["clip"]):
            clip = decode(dataset.read(f"audio/{name}"), name=name)
            waves = prepare(clip, sample_rate=1000, samples=200, resampler="polyphase")
            for waveform in WAVEFORMS:
                expected = front_end(torch.from_numpy(waves[waveform])).numpy()
                assert found.parts(waveform, fold)[0][row].tobytes() == expected.tobytes()


def test_a_table_in_another_order_gives_rows_in_that_order(tmp_path: Path) -> None:
    run(MemoryDataset(dict(reversed(clips().items()))), tmp_path)
    assert open_shards(tmp_path).of_fold(2)["clip"].tolist() == ["2-3.wav", "2-2.wav", "2-1.wav", "2-0.wav"]


def test_the_manifest_tells_the_front_end_and_the_data_set(tmp_path: Path) -> None:
    run(MemoryDataset(clips(), digest="mine"), tmp_path)
    found = open_shards(tmp_path)
    assert found.dataset_digest == "mine"
    assert found.manifest["front_end"] == describe(PARAMS)


def test_the_manifest_tells_what_was_cut_and_padded(tmp_path: Path) -> None:
    wave = noise(1000)
    run(MemoryDataset({("a.wav", 1): wave[:150], ("b.wav", 2): wave[:200], ("c.wav", 2): wave[:700]}), tmp_path)
    assert open_shards(tmp_path).fit == {
        "clips": 3,
        "clip_seconds": 0.2,
        "cut": {"clips": 1, "median_seconds": 0.5, "largest_seconds": 0.5},
        "padded": {"clips": 1, "median_seconds": 0.05, "largest_seconds": 0.05},
    }


def test_a_name_of_the_data_set_leaves_the_shards_as_they_are(tmp_path: Path) -> None:
    """Guards: everything trained on the shards would be trained again for a name."""
    for name in ("one", "other"):
        dataset = MemoryDataset(clips())
        dataset.info["name"] = name
        run(dataset, tmp_path / name)
    assert tree(tmp_path / "one") == tree(tmp_path / "other")


@pytest.mark.case("F1")
@pytest.mark.parametrize("workers", [2, 4, None])
def test_the_bytes_do_not_depend_on_the_workers(tmp_path: Path, workers: int | None) -> None:
    dataset = MemoryDataset(clips(number=12), rate=1600)
    run(dataset, tmp_path / "one")
    run(dataset, tmp_path / "more", workers=workers)
    assert len(tree(tmp_path / "one")) == 8
    assert tree(tmp_path / "more") == tree(tmp_path / "one")


@pytest.mark.case("F1")
def test_a_clip_does_not_depend_on_those_beside_it(tmp_path: Path) -> None:
    some = clips()
    loud = {key: wave if key[0] == "1-2.wav" else wave * np.float32(100) for key, wave in some.items()}
    run(MemoryDataset(some), tmp_path / "some")
    run(MemoryDataset(loud), tmp_path / "loud")
    one, other = (open_shards(tmp_path / name).parts("raw", 1)[0] for name in ("some", "loud"))
    assert one[2].tobytes() == other[2].tobytes()
    assert one[1].tobytes() != other[1].tobytes()


def test_the_number_of_torchs_threads_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run(MemoryDataset(clips()), tmp_path / "good")
        assert torch.get_num_threads() == 2
        dataset = MemoryDataset(clips())
        dataset.replace("audio/1-0.wav", b"")
        with pytest.raises(DataError):
            run(dataset, tmp_path / "bad")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.case("W12")
def test_an_all_zero_clip_is_floor_everywhere_and_is_told(tmp_path: Path) -> None:
    silent = clips() | {("2-1.wav", 2): np.zeros(200, np.float32)}
    assert run(MemoryDataset(silent), tmp_path) == ["clip 2-1.wav is digital silence from end to end"]
    found = open_shards(tmp_path)
    for waveform in WAVEFORMS:
        values = found.parts(waveform, 2)[0]
        assert (values[1] == FLOOR_DB).all()
        assert np.isfinite(values).all()
        assert (values[0] > FLOOR_DB).any()
    assert found.of_fold(2)["zero_share"].tolist() == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.case("W6")
def test_a_strange_clip_is_told(tmp_path: Path) -> None:
    dataset = MemoryDataset(clips())
    wave = (noise() * 32767).astype("<i2")
    dataset.replace("audio/3-2.wav", wav(np.stack([wave, -wave], axis=1).tobytes(), channels=2, rate=1000))
    warnings = run(dataset, tmp_path)
    assert "clip 3-2.wav: the channels cancel: their mean is more than 60 dB below them" in warnings
    assert open_shards(tmp_path).of_fold(3)["warnings"].str.len().gt(0).tolist() == [False, False, True, False]


@pytest.mark.case("W13")
@pytest.mark.parametrize(
    ("samples", "zero_share"), [(1, 0.995), (199, 0.005), (200, 0.0), (201, 0.0), (1000, 0.0), (50, 0.75)]
)
def test_a_clip_of_another_length_is_cut_or_padded_at_its_end(tmp_path: Path, samples: int, zero_share: float) -> None:
    wave = noise(1000)
    run(MemoryDataset({("a.wav", 1): wave[:samples]}), tmp_path / "given")
    fitted = np.zeros(200, np.float32)
    fitted[: min(samples, 200)] = wave[: min(samples, 200)]
    run(MemoryDataset({("a.wav", 1): fitted}), tmp_path / "fitted")
    given, expected = (open_shards(tmp_path / name) for name in ("given", "fitted"))
    for waveform in WAVEFORMS:
        assert given.parts(waveform, 1)[0].tobytes() == expected.parts(waveform, 1)[0].tobytes()
    assert given.clips["seconds"].tolist() == [samples / 1000]
    assert given.clips["zero_share"].tolist() == pytest.approx([zero_share], abs=1e-12)  # a division


@pytest.mark.case("W7")
def test_clips_of_different_rates_are_resampled(tmp_path: Path) -> None:
    dataset = MemoryDataset({("a.wav", 1): noise(400), ("b.wav", 1): noise(200)})
    dataset.replace("audio/a.wav", wav((noise(400) * 32767).astype("<i2").tobytes(), rate=2000))
    run(dataset, tmp_path)
    found = open_shards(tmp_path)
    assert found.clips["sample_rate_hz"].tolist() == [2000, 1000]
    assert found.clips["seconds"].tolist() == [0.2, 0.2]
    assert found.parts("raw", 1)[0].shape == (2, 1, 9, 6)


@pytest.mark.case("W16")
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (b"", DataError, r"not audio in audio/2-3\.wav"),
        (wav()[:-10], DataError, r"truncated in audio/2-3\.wav"),
        (float_wav([0, np.nan, 0]), DataError, r"bad sample in audio/2-3\.wav.*nan"),
        (None, IntegrityError, r"broken member in audio/2-3\.wav"),
    ],
)
def test_a_failing_clip_is_named_and_nothing_is_valid(
    tmp_path: Path, workers: int, data: bytes | None, error: type[SpecnormError], match: str
) -> None:
    dataset = MemoryDataset(clips())
    dataset.replace("audio/2-3.wav", data)
    with pytest.raises(error, match=match):
        run(dataset, tmp_path, workers=workers)
    # The fold before it is there, whole; no temporary file is left.
    assert {*tree(tmp_path)} == {"raw/fold-1.npy", "standardized/fold-1.npy"}
    with pytest.raises(IntegrityError, match="missing file"):
        open_shards(tmp_path)


@pytest.mark.case("F10")
def test_a_build_that_fails_over_an_old_one_leaves_nothing_valid(tmp_path: Path) -> None:
    # Guards: the old manifest stayed and went on to vouch for the folds that were not rewritten.
    run(MemoryDataset(clips()), tmp_path)
    dataset = MemoryDataset(clips())
    dataset.replace("audio/2-3.wav", b"")
    with pytest.raises(DataError):
        run(dataset, tmp_path)
    with pytest.raises(IntegrityError, match="missing file"):
        open_shards(tmp_path)
    run(MemoryDataset(clips()), tmp_path)
    run(MemoryDataset(clips()), tmp_path / "clean")
    assert {name: digest for name, digest in tree(tmp_path).items() if not name.startswith("clean")} == tree(
        tmp_path / "clean"
    )


@pytest.mark.case("F8")
def test_a_folder_that_cannot_be_written_is_told_before_any_clip_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    dataset = MemoryDataset(clips())
    dataset.read = None  # type: ignore[assignment]
    with pytest.raises(ResourceError, match=r"file/manifest\.json: got Not a directory"):
        run(dataset, tmp_path / "file")


@pytest.mark.case("F7")
def test_a_write_that_fails_stops_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = MemoryDataset(clips(folds=1, number=100))
    read: list[str] = []

    class Counting(MemoryDataset):
        def read(self, member: str) -> bytes:
            read.append(member)
            return dataset.read(member)

    def append(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.ShardWriter, "append", append)
    with pytest.raises(ResourceError, match="No space left on device"):
        run(Counting(clips(folds=1, number=100)), tmp_path, workers=2)
    assert len(read) <= 2 * AHEAD
    assert tree(tmp_path) == {}


# --- parts, and what is kept of them


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two to eight clips a part."""
    monkeypatch.setattr(parts, "_BYTES", 2 * 4 * PARAMS.bins * PARAMS.frames)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The clips whose spectrograms were computed."""
    names: list[str] = []
    compute = extraction.waveforms_of

    def counting(data: bytes, params: Any, *, name: str) -> Any:
        names.append(name)
        return compute(data, params, name=name)

    monkeypatch.setattr(extraction, "waveforms_of", counting)
    return names


def values(folder: Path) -> dict[tuple[str, int], bytes]:
    found = open_shards(folder)
    return {
        (waveform, fold): b"".join(part.tobytes() for part in found.parts(waveform, fold))
        for waveform in WAVEFORMS
        for fold in found.folds
    }


def test_a_fold_in_parts_has_the_values_and_statistics_of_one_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = MemoryDataset(clips(folds=2, number=30))
    run(dataset, tmp_path / "whole")
    monkeypatch.setattr(parts, "_BYTES", 2 * 4 * PARAMS.bins * PARAMS.frames)
    run(dataset, tmp_path / "parts")
    whole, cut = (open_shards(tmp_path / name) for name in ("whole", "parts"))
    assert len(whole.parts("raw", 1)) == 1 < len(cut.parts("raw", 1))
    assert values(tmp_path / "parts") == values(tmp_path / "whole")
    pd.testing.assert_frame_equal(cut.clips, whole.clips)
    rows = [29, 0, 17, 3, 3]
    assert np.array_equal(cut.rows("raw", 2, rows), whole.rows("raw", 2, rows))
    one, other = (training_set.fold_moments(each, "raw", 2, EXACT) for each in (whole, cut))
    for field in fields(Moments):
        assert getattr(one, field.name).tobytes() == getattr(other, field.name).tobytes()


@pytest.mark.usefixtures("small_parts")
def test_what_was_broken_off_goes_on_where_it_was(tmp_path: Path, computed: list[str]) -> None:
    whole = clips(folds=2, number=20)
    broken = MemoryDataset(whole)
    broken.replace("audio/2-15.wav", b"no audio")
    with pytest.raises(SpecnormError):
        extract(broken, PARAMS, tmp_path / "out", workers=1, kept=tmp_path / "kept")  # type: ignore[arg-type]
    begun = list(computed)
    computed.clear()
    dataset = MemoryDataset(whole)
    extract(dataset, PARAMS, tmp_path / "out", workers=1, kept=tmp_path / "kept")  # type: ignore[arg-type]
    assert 20 <= 40 - len(computed) < len(begun)  # all but the part that broke and those after it
    run(dataset, tmp_path / "at once")
    assert tree(tmp_path / "out") == tree(tmp_path / "at once")


@pytest.mark.usefixtures("small_parts")
def test_a_new_clip_costs_its_own_part_and_a_changed_one_its_own(tmp_path: Path, computed: list[str]) -> None:
    def again(dataset: MemoryDataset) -> int:
        computed.clear()
        extract(dataset, PARAMS, tmp_path / "out", workers=2, kept=tmp_path / "kept")  # type: ignore[arg-type]
        return len(computed)

    whole = clips(folds=1, number=200)
    assert again(MemoryDataset(whole)) == 200
    shutil.rmtree(tmp_path / "out")  # as DVC does before a stage
    assert again(MemoryDataset(whole)) == 0
    assert 1 <= again(MemoryDataset({**whole, ("new.wav", 1): noise(seed=5000)})) <= 9
    changed = {**whole, ("1-100.wav", 1): noise(seed=5001)}
    assert 1 <= again(MemoryDataset(changed)) <= 9
    # What is kept is what the last run used, whatever number a part has now.
    for place in (0, 7, 50, 120):
        names = list(changed)
        more = {name: changed[name] for name in names[:place]} | {(f"more-{place}.wav", 1): noise(seed=place)}
        changed = more | {name: changed[name] for name in names[place:]}
        assert 1 <= again(MemoryDataset(changed)) <= 18
        run(MemoryDataset(changed), tmp_path / "at once")
        assert tree(tmp_path / "out") == tree(tmp_path / "at once")
    named = open_shards(tmp_path / "out").manifest["shards"]
    assert 2 * len(list((tmp_path / "kept").iterdir())) == len(named)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("damage", ["a value", "the note", "a file", "another front end"])
def test_a_kept_part_that_is_not_what_it_was_is_made_anew(tmp_path: Path, damage: str, computed: list[str]) -> None:
    dataset = MemoryDataset(clips(folds=1, number=20))
    extract(dataset, PARAMS, tmp_path / "out", workers=1, kept=tmp_path / "kept")  # type: ignore[arg-type]
    before = tree(tmp_path / "out")
    place = sorted((tmp_path / "kept").iterdir())[0]
    shutil.rmtree(tmp_path / "out")
    params = PARAMS
    if damage == "a value":
        data = bytearray((place / "raw.npy").read_bytes())
        data[-1] ^= 1
        (place / "raw.npy").unlink()
        (place / "raw.npy").write_bytes(data)
    elif damage == "the note":
        (place / "part.json").write_text("{")
    elif damage == "a file":
        (place / "standardized.npy").unlink()
    else:
        params = front_end_params(amin=1e-9)
    computed.clear()
    extract(dataset, params, tmp_path / "out", workers=1, kept=tmp_path / "kept")  # type: ignore[arg-type]
    if params is PARAMS:
        assert 2 <= len(computed) <= 8
        assert tree(tmp_path / "out") == before
    else:
        assert len(computed) == 20


def test_a_folder_that_cannot_keep_anything_costs_the_going_on_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    dataset = MemoryDataset(clips(folds=1, number=4))
    extract(dataset, PARAMS, tmp_path / "out", workers=1, kept=tmp_path / "kept")  # type: ignore[arg-type]
    assert len(open_shards(tmp_path / "out").clips) == 4


# --- rounded for the disk

HALF = front_end_params(storage="float16")


def test_float16_holds_the_rounded_values_and_the_moments_of_those_before(tmp_path: Path) -> None:
    dataset = MemoryDataset(clips(folds=2, number=20))
    run(dataset, tmp_path / "whole")
    extract(dataset, HALF, tmp_path / "half", measure=partial(PartMoments, HALF.amin))  # type: ignore[arg-type]
    whole, half = (open_shards(tmp_path / name) for name in ("whole", "half"))
    for waveform in WAVEFORMS:
        for fold in (1, 2):
            (exact,), (rounded,) = whole.parts(waveform, fold), half.parts(waveform, fold)
            assert rounded.dtype == np.float16
            assert np.array_equal(rounded, exact.astype(np.float16))
            assert half.rows(waveform, fold, [3]).dtype == np.float32
            one, other = (training_set.fold_moments(each, waveform, fold, EXACT) for each in (whole, half))
            for field in fields(Moments):
                assert getattr(one, field.name).tobytes() == getattr(other, field.name).tobytes()
    assert 2 * half.parts("raw", 1)[0].nbytes == whole.parts("raw", 1)[0].nbytes
    assert half.front_end_fingerprint != whole.front_end_fingerprint  # cells of the one are none of the other


def test_rounded_parts_are_kept_with_their_moments(
    tmp_path: Path, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_BYTES", 2 * room.stored_bytes(HALF))
    dataset = MemoryDataset(clips(folds=1, number=30))
    before = []
    for _ in range(2):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        computed.clear()
        extract(
            dataset,  # type: ignore[arg-type]
            HALF,
            tmp_path / "out",
            kept=tmp_path / "kept",
            measure=partial(PartMoments, HALF.amin),
        )
        before.append(tree(tmp_path / "out"))
    assert before[0] == before[1]
    assert computed == []
    run(dataset, tmp_path / "whole")
    of_parts, at_once = (
        training_set.fold_moments(open_shards(tmp_path / name), "raw", 1, EXACT) for name in ("out", "whole")
    )
    np.testing.assert_allclose(of_parts.m2, at_once.m2, rtol=1e-12)
    np.testing.assert_array_equal(of_parts.floor_count, at_once.floor_count)


@pytest.mark.parametrize("change", ["a value", "a shard", "not there"])
def test_damaged_moments_are_refused(tmp_path: Path, change: str) -> None:
    dataset = MemoryDataset(clips(folds=1, number=4))
    extract(dataset, HALF, tmp_path, measure=partial(PartMoments, HALF.amin))  # type: ignore[arg-type]
    path = tmp_path / "moments.json"
    if change == "a value":
        path.write_text(path.read_text().replace("[", "[1", 1))
    elif change == "not there":
        path.unlink()
    else:
        edit(path, lambda stored: stored["shards"].pop("raw/fold-1.npy"))
        edit(tmp_path / "manifest.json", lambda said: said["moments"].update(sha256=files.sha256_file(path)))
    with pytest.raises(IntegrityError, match=r"moments\.json"):
        training_set.fold_moments(open_shards(tmp_path), "raw", 1, EXACT)
