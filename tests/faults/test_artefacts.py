"""Every file of a finished workspace, changed after it was written: whoever reads it says the same as before, or no."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specnorm.datasets import local
from specnorm.datasets.dataset import open_dataset
from specnorm.errors import DataError, IntegrityError
from specnorm.files import fingerprint, read_sealed
from specnorm.normalization import fitted
from specnorm.params import WAVEFORMS
from specnorm.report import results
from specnorm.shards.store import open_shards
from specnorm.statistics import training_set
from specnorm.training import cells
from stages import compare, normalizers, spectrograms, statistics, track
from tests.builders import tree

FLIPS = 12  # a file: the first byte, the last, and some between


def _data_set(place: Path) -> str:
    with open_dataset(place) as dataset:
        sounds = [hashlib.sha256(dataset.read(member)).hexdigest() for member in dataset.clips["member"]]
        return fingerprint([dataset.info, dataset.clips.to_json(), sounds])


def _shards(place: Path) -> str:
    found = open_shards(place)
    levels = [found.parts(waveform, fold)[0].tobytes() for waveform in WAVEFORMS for fold in found.folds]
    return fingerprint([found.manifest, found.clips.to_json(), [hashlib.sha256(each).hexdigest() for each in levels]])


def _cell(place: Path) -> str:
    found = cells.read(place)
    weights = {name: value.tolist() for name, value in cells.weights(found).items()}
    return fingerprint([found.metrics, found.run, found.history.to_json(), found.predictions.to_json(), weights])


def _results(place: Path) -> str:
    found = results.read(place)
    return fingerprint([found.verdict.to_json(), found.files, tree(place)])


# How each kind of artefact is read, and where it lies.
READERS: list[tuple[Callable[[Path], str], str]] = [
    (lambda place: repr(read_sealed(place / local.IDENTITY, format=local.FORMAT)), "data/source"),
    (_data_set, "data/raw"),
    (_shards, "data/spectrograms"),
    (lambda place: training_set.read(place).digest, "data/statistics/fold-2/raw.json"),
    (lambda place: repr(fitted.read(place)), "data/normalizers/channel/fold-2.json"),
    (lambda place: repr(fitted.read(place)), "data/normalizers/none/fold-2.json"),
    (_cell, "data/cells/channel/fold-2/seed-0"),
    (_results, "data/comparison"),
]


def said(read: Callable[[Path], str], place: Path) -> str:
    """What stands there, or why it is refused."""
    try:
        return read(place)
    except (IntegrityError, DataError) as error:
        return str(error)


@pytest.mark.case("V9")
@pytest.mark.parametrize(("read", "where"), READERS, ids=[where for _, where in READERS])
def test_a_flipped_bit_in_any_file_is_refused_or_changes_nothing(
    finished: Path, tmp_path: Path, read: Callable[[Path], str], where: str
) -> None:
    """A cache's damaged object, checked out. Some bits say nothing: a date in a zip, 1E-05 for 1e-05."""
    place, source = tmp_path / "place", finished / where
    shutil.copytree(source, place) if source.is_dir() else shutil.copyfile(source, place)
    good, generator = read(place), np.random.default_rng(0)
    paths = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    assert paths
    for path in paths:
        whole, refused = path.read_bytes(), 0
        between = generator.integers(len(whole), size=FLIPS - 2).tolist()
        for byte in (0, *between, len(whole) - 1):
            data = bytearray(whole)
            data[byte] ^= 1 << int(generator.integers(8))
            path.write_bytes(data)
            found = said(read, place)
            assert found == good or str(place) in found, f"{path.name}, byte {byte}: {found}"
            refused += found != good
        path.write_bytes(whole)
        assert refused >= FLIPS - 3, path.name
    assert read(place) == good


@pytest.mark.case("V9")
def test_every_kind_of_artefact_has_a_reader_here(finished: Path) -> None:
    kinds = {path.relative_to(finished).parts[1] for path in (finished / "data").rglob("*") if path.is_file()}
    assert kinds == {where.split("/")[1] for _, where in READERS}


STAGES: list[tuple[Any, list[str], str, str]] = [
    (spectrograms, [], "data/raw/archive.zip", "download"),
    (spectrograms, [], "data/raw/clips.csv", "download"),
    (spectrograms, [], "data/raw/dataset.json", "download"),
    (statistics, [], "data/spectrograms/manifest.json", "spectrograms"),
    (statistics, [], "data/spectrograms/clips.parquet", "spectrograms"),
    (statistics, [], "data/spectrograms/standardized/fold-3.npy", "spectrograms"),
    (normalizers, ["--norm", "channel"], "data/statistics/fold-2/standardized.json", "statistics"),
    (compare, [], "data/statistics/fold-2/raw.json", "statistics"),
    (compare, [], "data/normalizers/none/fold-2.json", "normalizers@none"),
    (compare, [], "data/cells/global/fold-2/seed-0/metrics.json", "train@global-2-0"),
    (compare, [], "data/cells/global/fold-2/seed-0/run.json", "train@global-2-0"),
    (compare, [], "data/cells/global/fold-2/seed-0/history.csv", "train@global-2-0"),
    (compare, [], "data/cells/global/fold-2/seed-0/predictions.parquet", "train@global-2-0"),
    (compare, [], "data/cells/global/fold-1/seed-0/model.safetensors", "train@global-1-0"),
    (track, [], "data/comparison/manifest.json", "compare"),
    (track, [], "data/comparison/verdict.json", "compare"),
    (track, [], "data/comparison/report.html", "compare"),
]


@pytest.mark.case("V9")
@pytest.mark.parametrize(("stage", "argv", "name", "maker"), STAGES, ids=[name for _, _, name, _ in STAGES])
def test_the_stage_that_reads_it_ends_with_a_line_that_says_what_makes_it_anew(
    workspace: Path, capsys: pytest.CaptureFixture[str], stage: Any, argv: list[str], name: str, maker: str
) -> None:
    path = workspace / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    capsys.readouterr()
    assert stage.main(argv) == 4
    error = capsys.readouterr().err
    assert name in error
    assert error.endswith(f". Run `dvc repro -f -s {maker}` to make it again\n")
    assert len(error.splitlines()) == 1
