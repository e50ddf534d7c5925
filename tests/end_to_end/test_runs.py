"""What runs again, and what does not, when parameters change."""

import json
import re
import sys

import pandas as pd
import pytest

from tests.end_to_end.project import REPOSITORY, TINY_RUN, Project

pytestmark = pytest.mark.pipeline

CELL_FILES = {"model.safetensors", "history.csv", "predictions.parquet", "metrics.json", "run.json"}
AFTER = {"compare", "track"}


def test_every_output_is_there(tracked: Project) -> None:
    data = tracked.root / "data"
    for mode in ("none", "global"):
        assert {path.name for path in (data / f"cells/{mode}/fold-1/seed-0").iterdir()} == CELL_FILES
    assert {path.name for path in (data / "statistics/fold-2").iterdir()} == {"raw.json", "standardized.json"}
    cells = pd.read_csv(data / "comparison/cells.csv")
    assert list(cells.columns) == [
        "norm",
        "fold",
        "seed",
        "accuracy",
        "f1_macro",
        "loss",
        "train_seconds",
        "total_seconds",
        "device",
        "precision",
    ]
    assert list(cells["norm"]) == ["none", "global"]
    summary = pd.read_csv(data / "comparison/summary.csv")
    assert list(summary.columns[:6]) == [
        "norm",
        "cells",
        "accuracy_mean",
        "accuracy_sd",
        "accuracy_low",
        "accuracy_high",
    ]
    state = json.loads((data / "comparison/verdict.json").read_text())["decision"]["state"]
    assert state in ("undecided", "nothing learned")  # of one run
    assert (data / "comparison/report.html").stat().st_size < 10e6
    assert (tracked.root / "mlflow.db").is_file()
    assert not list(tracked.root.rglob("*.partial"))


@pytest.mark.case("V6")
def test_a_second_repro_does_nothing(tracked: Project) -> None:
    ran = tracked.dvc("repro")
    assert ran.stages == {"track"}  # which finds its mark
    assert "MLflow experiment specnorm: all there before" in ran.output
    assert "Running stage 'source'" in ran.output  # which looks whether the data set is still the same
    assert "Stage 'download' didn't change, skipping" in ran.output
    assert tracked.dvc("status").output.split() == ["source:", "always", "changed", "track:", "always", "changed"]


@pytest.mark.case("V6")
def test_a_training_parameter_retrains_and_extracts_nothing(project: Project) -> None:
    ran = project.dvc("exp", "run", "train", *TINY_RUN, "-S", "train.epochs=2")
    assert ran.stages == {"train@none-1-0", "train@global-1-0"}
    difference = json.loads(project.dvc("params", "diff", "--json").output)
    assert difference["params.yaml"]["train.epochs"] == {"old": 1, "new": 2, "diff": 1}
    back = project.dvc("exp", "run", *TINY_RUN)
    assert back.stages <= {"track"}  # the run cache has the rest


def test_a_new_mode_trains_its_own_cells_alone(project: Project) -> None:
    ran = project.dvc("exp", "run", *TINY_RUN, "-S", "norm=[none,global,channel_raw]")
    assert ran.stages == {"normalizers@channel_raw", "train@channel_raw-1-0"} | AFTER


@pytest.mark.case("V6")
def test_statistics_retrain_only_the_modes_that_use_them(project: Project) -> None:
    ran = project.dvc("exp", "run", "train", *TINY_RUN, "-S", "statistics.fraction=0.5")
    assert ran.stages == {"statistics", "normalizers@none", "normalizers@global", "train@global-1-0"}


def test_a_new_kind_of_normaliser_is_the_one_class_and_one_file_of_the_readme(project: Project) -> None:
    readme = (REPOSITORY / "README.md").read_text()
    files = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", readme, re.DOTALL))
    assert set(files) == {"specnorm/normalization/per_clip.py", "conf/norm/per_clip.yaml"}
    for name, text in files.items():
        (project.root / name).write_text(text)
    ran = project.dvc("exp", "run", "train", *TINY_RUN, "-S", "norm=[none,global,per_clip]")
    fitted = {"normalizers@none", "normalizers@global", "normalizers@per_clip"}  # cheap; the old ones come out equal
    assert ran.stages == fitted | {"train@per_clip-1-0"}
    for name in files:
        (project.root / name).unlink()


def test_the_readmes_notebook_cell_runs(project: Project) -> None:
    (cell,) = re.findall(
        r"```python\n(# after %matplotlib inline\n.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL
    )
    project.run(sys.executable, "-c", cell)


def test_the_summary_of_a_real_run_is_json(project: Project) -> None:
    printed = project.run(sys.executable, "-m", "specnorm", "summary", "--json").output
    assert json.loads(printed) == json.loads((project.root / "data/comparison/verdict.json").read_text())


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("norm=bogus", ["norm/bogus", "channel", "global", "none"]),
        ("train.epochs=0", ["bad parameter train.epochs", "expected at least 1, got 0"]),
        ("+norm.global.centre=1", ["unknown parameter norm.global.centre"]),
    ],
)
def test_a_bad_parameter_is_refused_before_any_work(project: Project, override: str, said: list[str]) -> None:
    before = (project.root / "data/comparison/cells.csv").read_text()
    parameters = (project.root / "params.yaml").read_text()
    ran = project.dvc("exp", "run", *TINY_RUN, "-S", "dataset.seed=1", "-S", override, fails=True)
    assert all(word in ran.output for word in said), ran.output
    assert ran.stages == set()  # `source`, the first command of the pipeline, is where the parameters are read
    assert "Traceback" not in ran.output
    (project.root / "params.yaml").write_text(parameters)
    project.dvc("checkout")
    assert (project.root / "data/comparison/cells.csv").read_text() == before
