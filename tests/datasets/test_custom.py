from __future__ import annotations

from pathlib import Path

import pytest

from specnorm.datasets.custom import read_csv_table
from specnorm.datasets.folder import Folder
from specnorm.datasets.table import decode_clips, encode_clips, labels_of
from tests.datasets.layouts import Rows, csv_bytes, csv_params, write_folder

ROWS: Rows = [
    {"filename": f"{label} {n:02}.wav", "label": label, "fold": 1 + n % 3, "speaker": f"s{n // 3}"}
    for label in ("none", "NA", "größer")
    for n in range(30)
]


def folder_of(tmp_path: Path, rows: Rows, audio: str = "") -> Folder:
    members = {f"{audio}{row['filename']}": b"audio" for row in rows}
    return Folder(write_folder(tmp_path, {**members, "metadata.csv": csv_bytes(rows)}))


def test_labels_get_targets_in_alphabetical_order(tmp_path: Path) -> None:
    clips, warnings = read_csv_table(folder_of(tmp_path, ROWS), csv_params(fold_column="fold"))
    assert warnings == []
    assert labels_of(clips) == ["NA", "größer", "none"]
    assert clips.iloc[0].tolist() == ["NA 00.wav", "NA 00.wav", 1, 0, "NA", "NA 00.wav"]
    assert clips["fold"].value_counts().to_dict() == {1: 30, 2: 30, 3: 30}


def test_the_table_survives_its_file(tmp_path: Path) -> None:
    clips, _ = read_csv_table(folder_of(tmp_path, ROWS), csv_params(fold_column="fold"))
    read = decode_clips(encode_clips(clips), where=Path("clips.csv"))
    assert read.equals(clips)
    assert read.dtypes.equals(clips.dtypes)


@pytest.mark.parametrize("audio", ["wav files", "wav files/", "./wav files"])
def test_audio_may_lie_in_a_folder(tmp_path: Path, audio: str) -> None:
    folder = folder_of(tmp_path, ROWS, "wav files/")
    clips, _ = read_csv_table(folder, csv_params(fold_column="fold", audio=audio, table="./metadata.csv"))
    assert clips["clip"][0] == "NA 00.wav"
    assert clips["member"][0] == "wav files/NA 00.wav"


@pytest.mark.case("M8")
def test_unlisted_audio_is_counted(tmp_path: Path) -> None:
    folder_of(tmp_path, ROWS)
    write_folder(tmp_path, {"a.wav": b"", "deep/B.FLAC": b"", "notes.txt": b""})
    _, warnings = read_csv_table(Folder(tmp_path), csv_params())
    assert warnings == ["audio files that metadata.csv does not list, left out: 2"]


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_made_folds_spread_every_label_evenly(tmp_path: Path, folds: int) -> None:
    clips, _ = read_csv_table(folder_of(tmp_path, ROWS), csv_params(folds=folds))
    assert sorted(clips["fold"].unique()) == list(range(1, folds + 1))
    assert set(clips.groupby(["label", "fold"]).size()) == {30 // folds}


def test_made_folds_keep_groups_whole(tmp_path: Path) -> None:
    clips, _ = read_csv_table(folder_of(tmp_path, ROWS), csv_params(folds=5, group_column="speaker"))
    assert clips["source"].nunique() == 10
    assert set(clips.groupby("source")["fold"].nunique()) == {1}
    assert clips["fold"].value_counts().to_dict() == dict.fromkeys(range(1, 6), 18)


def test_made_folds_depend_on_the_seed_and_not_on_the_order_of_rows(tmp_path: Path) -> None:
    def folds(rows: Rows, seed: int) -> list[tuple[str, int]]:
        clips, _ = read_csv_table(folder_of(tmp_path, rows), csv_params(seed=seed))
        return list(zip(clips["clip"], clips["fold"], strict=True))

    assert folds(ROWS, 0) == folds(ROWS[::-1], 0)
    assert folds(ROWS, 0) != folds(ROWS, 1)


def test_a_label_with_fewer_clips_than_folds_is_allowed(tmp_path: Path) -> None:
    rows = [*ROWS, *({**ROWS[0], "filename": f"rare{n}.wav", "label": "rare"} for n in range(2))]
    clips, _ = read_csv_table(folder_of(tmp_path, rows), csv_params(folds=5))
    assert clips.loc[clips["label"] == "rare", "fold"].nunique() == 2
