"""Own clips that are edited after a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.end_to_end.project import Project
from tests.end_to_end.test_dvc import write_clips

pytestmark = pytest.mark.pipeline


def spectrogram_of(index: Path, clip: str) -> bytes:
    row = pd.read_parquet(index).set_index("clip").loc[clip]
    return bytes(np.load(index.parent / f"raw/fold-{row['fold']}.npy")[row["row"]].tobytes())


def test_edited_own_data_is_another_data_set_and_touched_data_the_same(project: Project) -> None:
    own = project.root.parent / "edited clips"
    write_clips(own)
    dataset = ["dataset=csv", f"dataset.source='../{own.name}'", "dataset.folds=2", "experiment=tiny", "norm=none"]
    project.run("python", "-m", "pipeline.compose", *dataset)
    index = project.root / "data/spectrograms/clips.parquet"
    extracted = {"download", "spectrograms"}

    assert project.dvc("repro", "spectrograms").stages == extracted
    first = pd.read_parquet(index).set_index("clip")["label"]
    for path in own.iterdir():
        path.touch()
    assert project.dvc("repro", "spectrograms").stages == set()

    # Labels are swapped, a clip is added, and one has other samples under its old name.
    table = pd.read_csv(own / "metadata.csv")
    shutil.copytree(own, project.root.parent / "clips of before")
    table["label"] = table["label"].map({"high": "low", "low": "high"})
    shutil.copy(own / "a clip 0.wav", own / "added.wav")
    shutil.copy(own / "a clip 6.wav", own / "a clip 0.wav")
    added = pd.DataFrame({"filename": ["added.wav"], "label": ["low"]})
    pd.concat([table, added]).to_csv(own / "metadata.csv", index=False)
    assert project.dvc("repro", "spectrograms").stages == extracted
    second = pd.read_parquet(index).set_index("clip")["label"]
    assert len(second) == len(first) + 1
    assert spectrogram_of(index, "a clip 0.wav") == spectrogram_of(index, "a clip 6.wav")
    assert (second[first.index] != first).all()

    # The run cache, which outlives all else, gives back what was made of this state and of no other.
    for name in ("data", ".cache"):
        shutil.rmtree(project.root / name)
    (project.root / "dvc.lock").unlink()
    assert project.dvc("repro", "spectrograms").stages == set()
    assert pd.read_parquet(index).set_index("clip")["label"].equals(second)
    shutil.rmtree(own)
    shutil.copytree(project.root.parent / "clips of before", own)
    assert project.dvc("repro", "spectrograms").stages == set()
    assert pd.read_parquet(index).set_index("clip")["label"].equals(first)

    shutil.rmtree(own)
    refused = project.dvc("repro", "spectrograms", fails=True)
    assert f"{own.name}: expected a zip or a folder, got No such file or directory. Set" in refused.output
    assert refused.stages == set()

    project.run("git", "checkout", "-q", ".")
    project.dvc("checkout")
