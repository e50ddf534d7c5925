"""What the first two stages say of a data set, and leave for those after them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from specnorm.shards.store import open_shards
from stages import download, source, spectrograms
from tests import builders, made_up
from tests.datasets.layouts import csv_bytes, csv_params, folder_params, wav_bytes, write_folder, write_zip


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with clips of 0.1 to 0.4 s in class folders, all fitted to 0.2 s."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    clips = {f"{label}/{n}.wav": wav_bytes(100 * n, rate=1000) for label in ("cat", "dog") for n in range(1, 5)}
    write_folder(tmp_path / "pets", clips | {"notes.txt": b""})
    write_parameters(tmp_path)
    return tmp_path


def write_parameters(folder: Path, **dataset: Any) -> None:
    def small(values: dict[str, Any]) -> None:
        values["dataset"] = folder_params(source="pets", **dataset).model_dump()
        values["spectrogram"] = builders.front_end_params().model_dump()
        values["protocol"]["folds"] = [1, 2]

    made_up.write_params(folder / "params.yaml", small)


def test_lengths_and_what_was_done_to_them_are_told(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert source.main([]) == 0
    capsys.readouterr()
    assert download.main([]) == 0
    told = capsys.readouterr()
    assert "warning: files that are not read as audio, left out: 1 (.txt: 1)" in told.err
    assert told.out.splitlines() == [
        "pets: 8 clips, 2 classes, folds {'1': 4, '2': 4}",
        "lengths in s: min 0.1, 5 % 0.1, 25 % 0.1, median 0.2, 75 % 0.3, 95 % 0.4, max 0.4",
        "a fitting spectrogram.clip_seconds: 0.4, which leaves 95 % of them whole",
    ]
    assert json.loads((pets / "data/raw/dataset.json").read_text())["lengths"]["clip_seconds"] == 0.4
    assert spectrograms.main([]) == 0
    assert (
        "of 8 clips, fitted to 0.2 s, 4 were cut (by 0.15 s in the median and 0.2 s at most) "
        "and 2 were padded with zeros (by 0.1 s in the median and 0.1 s at most)"
    ) in capsys.readouterr().out
    fit = open_shards(pets / "data/spectrograms").fit
    assert fit is not None
    assert (fit["cut"]["clips"], fit["padded"]["clips"]) == (4, 2)


def test_a_source_that_changes_after_it_was_looked_at_is_no_data_set(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the identity says and what the archive holds would belong to two states of the source."""
    assert source.main([]) == 0
    size = sum(path.stat().st_size for path in (pets / "pets").rglob("*.*"))
    assert f"pets: 9 files, {size} bytes, SHA-256 " in capsys.readouterr().out
    write_folder(pets / "pets", {"dog/5.wav": wav_bytes(100, rate=1000)})
    assert download.main([]) == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == (
        f"download: the source has changed in {pets / 'pets'}: expected what data/source/identity.json says. "
        "Run `dvc repro` again"
    )
    assert spectrograms.main([]) == 4  # nothing half known is left for the next stage
    assert source.main([]) == download.main([]) == 0


def test_a_name_given_later_changes_no_spectrogram(pets: Path) -> None:
    found = []
    for name in (None, "my pets"):
        write_parameters(pets, name=name)
        assert source.main([]) == download.main([]) == spectrograms.main([]) == 0
        found.append(builders.tree(pets / "data/spectrograms"))
        assert json.loads((pets / "data/raw/dataset.json").read_text())["name"] == (name or "pets")
    assert found[0] == found[1]


def write_own_table(folder: Path, *, source: str, **dataset: Any) -> None:
    """Parameters of a table of one's own, two folds of which are held out."""
    compare = dataset.pop("compare", {})

    def small(values: dict[str, Any]) -> None:
        values["dataset"] = csv_params(source=source, **dataset).model_dump()
        values["spectrogram"] = builders.front_end_params().model_dump()
        values["protocol"]["folds"] = [1, 2]
        values["compare"] |= compare

    made_up.write_params(folder / "params.yaml", small)


def downloaded(capsys: pytest.CaptureFixture[str]) -> int:
    """The code of `download` after a look at the source, whose own lines are left out."""
    assert source.main([]) == 0
    capsys.readouterr()
    return download.main([])


@pytest.mark.case("M12")
def test_names_in_any_script_and_form_go_all_the_way(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table as Linux writes it beside an archive as macOS packs it."""
    rows = [{"filename": f"Vögel am Fluß/é {n} 鳥.wav", "label": ("hôte", "鳥, 小")[n % 2]} for n in range(8)]
    members = {
        unicodedata.normalize("NFD", str(row["filename"])): wav_bytes(100 + n, rate=1000) for n, row in enumerate(rows)
    }
    write_zip(pets / "mes données.zip", {**members, "table é.csv": csv_bytes(rows)})
    write_own_table(pets, source="mes données.zip", table="table é.csv")
    assert downloaded(capsys) == 0
    told = capsys.readouterr()
    assert (told.err, told.out.splitlines()[0]) == ("", "mes données: 8 clips, 2 classes, folds {'1': 4, '2': 4}")
    assert spectrograms.main([]) == 0
    shards = open_shards(pets / "data/spectrograms")
    assert shards.classes == ["hôte", "鳥, 小"]
    assert sorted(shards.clips["clip"]) == [row["filename"] for row in rows]


def test_labels_that_look_alike_are_told_at_once_or_refused(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"filename": f"{n}.wav", "label": ("cat", "Cat", "dog")[n % 3]} for n in range(12)]
    members = {str(row["filename"]): wav_bytes(100 + n, rate=1000) for n, row in enumerate(rows)}
    write_folder(pets / "own", {**members, "metadata.csv": csv_bytes(rows)})
    write_own_table(pets, source="own")
    assert downloaded(capsys) == 0
    said = "labels that look alike and are not the same: 'Cat' and 'cat'"
    assert capsys.readouterr().err == f"warning: {said}\n"
    assert json.loads((pets / "data/raw/dataset.json").read_text())["warnings"] == [said]
    write_own_table(pets, source="own", strict_labels=True)
    assert downloaded(capsys) == 3
    told = capsys.readouterr().err
    assert told.startswith("download: labels that look alike in ")
    assert told.count("\n") == 1
    assert not (pets / "data/raw/dataset.json").exists()


def test_a_held_out_fold_without_a_class_ends_the_first_stage(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"filename": f"{label}{fold}.wav", "label": label, "fold": fold}
        for label in ("cat", "dog")
        for fold in (1, 2, 3)
    ]
    rows = [row for row in rows if row["filename"] != "dog2.wav"]
    members = {str(row["filename"]): wav_bytes(100 + n, rate=1000) for n, row in enumerate(rows)}
    write_folder(pets / "own", {**members, "metadata.csv": csv_bytes(rows)})
    write_own_table(pets, source="own", fold_column="fold")
    assert downloaded(capsys) == 3
    assert "download: fold 2 has no clip of class 'dog' in " in capsys.readouterr().err
    write_own_table(pets, source="own", fold_column="fold", compare={"incomplete_folds": "accept"})
    assert downloaded(capsys) == 0
    assert "warning: fold 2 has no clip of 'dog'" in capsys.readouterr().err
