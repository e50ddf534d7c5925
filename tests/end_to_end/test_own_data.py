"""Own clips that are edited after a run."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from tests.end_to_end.project import Project
from tests.end_to_end.test_dvc import write_clips

pytestmark = pytest.mark.pipeline


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

    # Labels are swapped, and a clip is added.
    table = pd.read_csv(own / "metadata.csv")
    shutil.copy(own / "metadata.csv", project.root.parent / "labels of before.csv")
    table["label"] = table["label"].map({"high": "low", "low": "high"})
    shutil.copy(own / "a clip 0.wav", own / "added.wav")
    added = pd.DataFrame({"filename": ["added.wav"], "label": ["low"]})
    pd.concat([table, added]).to_csv(own / "metadata.csv", index=False)
    assert project.dvc("repro", "spectrograms").stages == extracted
    second = pd.read_parquet(index).set_index("clip")["label"]
    assert len(second) == len(first) + 1
    assert (second[first.index] != first).all()

    # The run cache, which outlives all else, gives back what was made of this state and of no other.
    for name in ("data", ".cache"):
        shutil.rmtree(project.root / name)
    (project.root / "dvc.lock").unlink()
    assert project.dvc("repro", "spectrograms").stages == set()
    assert pd.read_parquet(index).set_index("clip")["label"].equals(second)
    (own / "added.wav").unlink()
    shutil.copy(project.root.parent / "labels of before.csv", own / "metadata.csv")
    assert project.dvc("repro", "spectrograms").stages == set()
    assert pd.read_parquet(index).set_index("clip")["label"].equals(first)

    # A clip with other samples under its old name is extracted again.
    shutil.copy(own / "a clip 3.wav", own / "a clip 0.wav")
    assert project.dvc("repro", "spectrograms").stages == extracted
    shutil.rmtree(own)
    refused = project.dvc("repro", "spectrograms", fails=True)
    assert f"{own.name}: expected a zip or a folder, got No such file or directory. Set" in refused.output
    assert refused.stages == set()

    project.run("git", "checkout", "-q", ".")
    project.dvc("checkout")
