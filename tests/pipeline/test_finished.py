"""What was made with other parameters is refused in every stage that reads it, by the key that differs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specnorm import params
from specnorm.files import read_sealed
from specnorm.shards.store import open_shards
from stages import compare, normalizers, spectrograms, statistics, track, train
from tests import made_up
from tests.builders import edit, tree

CHANNEL = ["--norm", "channel", "--fold", "1", "--seed", "0"]
REMEDY = "Run `dvc repro`, which makes what the parameters ask for, or put the parameters back\n"
CELL = "data/cells/none/fold-1/seed-0/metrics.json"


def refused(capsys: pytest.CaptureFixture[str], main: Callable[[list[str]], int], argv: list[str], told: str) -> None:
    """The stage ends with one line, and no output is written or changed."""
    capsys.readouterr()
    before = tree(Path("data"))
    assert main(argv) == 4
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1
    assert tree(Path("data")) == before


# Cells


@pytest.mark.case("V5")
@pytest.mark.parametrize("stage", [compare, track])
@pytest.mark.parametrize(
    ("section", "changes", "told"),
    [
        (
            "train",
            {"epochs": 99},
            "another train.epochs in data/cells/none/fold-1/seed-0/metrics.json: expected 99, got 2",
        ),
        ("train", {"precision": "bf16"}, f"another train.precision in {CELL}: expected bf16, got auto"),
        ("model", {"stem_init": "he"}, f"another model.stem_init in {CELL}: expected he, got published"),
    ],
)
def test_cells_of_other_parameters(
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    stage: Any,
    section: str,
    changes: dict[str, Any],
    told: str,
) -> None:
    """A regression: an interrupted experiment leaves its params.yaml, which was then reported for the old cells."""
    made_up.change_params(workspace, **{section: changes})
    refused(capsys, stage.main, [], f"{told}. {REMEDY}")


def test_how_much_memory_a_cell_may_take_makes_no_other_cell(workspace: Path) -> None:
    made_up.change_params(workspace, train={"memory_gb": 0.5})
    assert compare.main([]) == 0


@pytest.mark.parametrize("stage", [compare, track])
def test_cells_of_another_fit_of_their_mode(workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any) -> None:
    edit(workspace / "data/normalizers/none/fold-1.json", lambda _: None)  # the same content in another layout
    refused(capsys, stage.main, [], f"another normalizer in {CELL}: expected")


# Modes


@pytest.mark.case("S7")
@pytest.mark.parametrize(("stage", "argv"), [(train, CHANNEL), (compare, []), (track, [])])
def test_another_modes_file_in_a_modes_place(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any, argv: list[str]
) -> None:
    """A regression: a cell was trained with it, under the mode's name."""
    shutil.copyfile("data/normalizers/none/fold-1.json", "data/normalizers/channel/fold-1.json")
    refused(
        capsys, stage.main, argv, "another mode in data/normalizers/channel/fold-1.json: expected channel, got none"
    )


@pytest.mark.parametrize(("stage", "argv"), [(train, CHANNEL), (compare, []), (track, [])])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "global"}, "another norm.channel.kind in {}: expected global, got channel"),
        ({"waveform": "raw"}, "another norm.channel.waveform in {}: expected raw, got standardized"),
    ],
)
def test_a_mode_of_other_parameters(
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    stage: Any,
    argv: list[str],
    changes: dict[str, Any],
    told: str,
) -> None:
    modes = {name: each.model_dump() for name, each in params.load(workspace / "params.yaml").norm.items()}
    made_up.change_params(workspace, norm={**modes, "channel": {**modes["channel"], **changes}})
    path = "data/normalizers/channel/fold-1.json"
    refused(capsys, stage.main, argv, f"{told.format(path)}. {REMEDY}")


@pytest.mark.case("S7")
@pytest.mark.parametrize(("stage", "argv"), [(train, CHANNEL), (compare, []), (track, [])])
def test_the_file_of_another_fold(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any, argv: list[str]
) -> None:
    shutil.copyfile("data/normalizers/channel/fold-2.json", "data/normalizers/channel/fold-1.json")
    told = "another held-out fold in data/normalizers/channel/fold-1.json: expected 1, got 2"
    refused(capsys, stage.main, argv, told)


@pytest.mark.case("S6")
@pytest.mark.parametrize(
    "change", [{"provenance": None}, {"statistics": None}, {"provenance": None, "statistics": None}]
)
def test_a_mode_without_provenance_is_not_trained(
    workspace: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    edit(workspace / "data/normalizers/channel/fold-1.json", lambda stored: stored.update(change))
    refused(
        capsys, train.main, CHANNEL, "damaged normaliser in data/normalizers/channel/fold-1.json: expected provenance"
    )


@pytest.mark.case("S6")
def test_a_held_out_clip_in_the_provenance_is_not_trained(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = workspace / "data/normalizers/channel/fold-1.json"
    edit(path, lambda stored: stored["provenance"].update(folds_merged=[1, 2, 3], clips=120))
    told = "statistics of another merged folds in data/normalizers/channel/fold-1.json: expected [2, 3], got [1, 2, 3]"
    refused(capsys, train.main, CHANNEL, told)


@pytest.mark.case("V9")
def test_one_digit_of_a_mode_is_not_trained_on(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A regression: a damaged object of a cache, checked out, was trained on with exit code 0."""
    path = workspace / "data/normalizers/channel/fold-1.json"
    edit(path, lambda stored: stored["state"]["mean"][3].__setitem__(0, 0.125), sealed=False)
    refused(capsys, train.main, CHANNEL, "changed file in data/normalizers/channel/fold-1.json: expected SHA-256")
    capsys.readouterr()
    train.main(CHANNEL)
    assert "Run `dvc repro -f -s normalizers@channel` to make it again" in capsys.readouterr().err


# Statistics


@pytest.mark.parametrize(
    ("stage", "argv"), [(normalizers, ["--norm", "channel"]), (train, CHANNEL), (compare, []), (track, [])]
)
def test_statistics_of_other_parameters(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any, argv: list[str]
) -> None:
    made_up.change_params(workspace, statistics={"fraction": 0.5, "seed": 3})
    refused(capsys, stage.main, argv, "another statistics.fraction in data/")


@pytest.mark.parametrize("stage", [compare, track])
def test_statistics_that_were_computed_again_since(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any
) -> None:
    """A regression: the page showed them beside cells of the first ones."""
    before = params.load(workspace / "params.yaml").statistics
    made_up.change_params(workspace, statistics={"fraction": 0.5})
    assert statistics.main([]) == 0
    refused(capsys, stage.main, [], "another statistics.fraction in data/normalizers/global/fold-1.json: expected 0.5")
    made_up.change_params(workspace, statistics=before.model_dump())
    told = "another statistics.fraction in data/statistics/fold-1/standardized.json: expected 1.0, got 0.5"
    refused(capsys, stage.main, [], told)


@pytest.mark.parametrize("stage", [compare, track])
def test_a_mode_of_other_statistics_than_those_beside_it(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any
) -> None:
    """Of the same parameters, as where the code changed."""
    path = workspace / "data/statistics/fold-1/standardized.json"
    edit(path, lambda stored: stored["bins"]["mean"].__setitem__(0, -50.0))
    told = "another training statistics in data/normalizers/global/fold-1.json: expected"
    refused(capsys, stage.main, [], told)


@pytest.mark.case("S7")
@pytest.mark.parametrize(("stage", "argv"), [(normalizers, ["--norm", "channel"]), (compare, [])])
def test_another_folds_statistics(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any, argv: list[str]
) -> None:
    shutil.copyfile("data/statistics/fold-2/standardized.json", "data/statistics/fold-1/standardized.json")
    told = "another held-out fold in data/statistics/fold-1/standardized.json: expected 1, got 2"
    refused(capsys, stage.main, argv, told)


# Spectrograms


@pytest.mark.case("F11")
@pytest.mark.parametrize(("stage", "argv"), [(statistics, []), (train, CHANNEL), (compare, [])])
def test_spectrograms_of_other_parameters(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any, argv: list[str]
) -> None:
    """A regression: statistics of 8 kHz were written with the frequencies of 4 kHz."""
    made_up.change_params(workspace, spectrogram={"sample_rate": 4000})
    told = "another spectrogram.sample_rate in data/spectrograms/manifest.json: expected 4000, got 8000"
    refused(capsys, stage.main, argv, f"{told}. {REMEDY}")


@pytest.mark.case("F11")
def test_spectrograms_made_again_are_taken_with_their_own_frequencies(workspace: Path) -> None:
    made_up.change_params(workspace, spectrogram={"sample_rate": 4000})
    assert spectrograms.main([]) == statistics.main([]) == 0
    stored = read_sealed(workspace / "data/statistics/fold-1/raw.json", format=2)
    assert stored["bins"]["frequency_hz"][-1] == 2000.0
    assert stored["front_end_fingerprint"] == open_shards(Path("data/spectrograms")).front_end_fingerprint


@pytest.mark.parametrize("stage", [normalizers, track])
def test_a_front_end_is_known_to_stages_that_read_no_spectrogram(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any
) -> None:
    made_up.change_params(workspace, spectrogram={"top_db": 80.0})
    argv = ["--norm", "channel"] if stage is normalizers else []
    told = "another spectrogram.top_db in " if stage is normalizers else f"another front_end in {CELL}: expected"
    refused(capsys, stage.main, argv, told)


def test_an_archive_of_other_clips_than_the_spectrograms(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(
        workspace / "data/spectrograms/manifest.json",
        lambda manifest: manifest["dataset"].update(digest="of other clips"),
    )
    refused(capsys, compare.main, [], "another data set in data/raw/dataset.json: expected of other clips, got")
