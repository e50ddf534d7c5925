"""MLflow holds every result once, whatever happens to the store, and never holds up a result."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from torch import Tensor, nn

from pipeline import places
from specnorm.audio.front_end import FrontEnd
from specnorm.classifier.module import Classifier
from specnorm.comparison.document import cells_digest
from specnorm.errors import IntegrityError, ResourceError
from specnorm.report import results
from specnorm.report.results import Results
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from stages import track
from tests import builders, made_up

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported, by the fixture below
MODES = ("none", "global")
TAGS = {"mlflow.source.git.commit": "0123abc", "mlflow.user": "me", "dvc.experiment": "workspace"}
SOURCES = ("statistics", "normalizer")


def write_results(
    folder: Path,
    cells: list[StoredCell],
    *,
    recommended: str | None = None,
    figure: str = "a picture",
    width: float = 0.125,
) -> Results:
    """A comparison of cells with made-up intervals."""
    modes = {}
    for mode in dict.fromkeys(cell.metrics["norm"] for cell in cells):
        own = [cell for cell in cells if cell.metrics["norm"] == mode]
        accuracies = [cell.metrics["accuracy"] for cell in own]
        mean, deviation = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1)) if accuracies[1:] else None
        estimate = {"mean": mean, "low": mean - width, "high": mean + width, "deviation": deviation}
        figures = dict.fromkeys(made_up.METRICS, estimate)
        modes[mode] = {"cells": len(own), "sha256": cells_digest(own), **figures}
    chosen = recommended or next(iter(modes))
    verdict = made_up.document(modes, recommended=chosen, recommendation=f"Use {chosen}: no mode beats another")
    texts = {"verdict.json": verdict.to_json(), "report.html": "<p>the report</p>", "figures/modes.svg": figure}
    results.write(folder, {name: text.encode() for name, text in texts.items()})
    return results.read(folder)


@pytest.fixture(scope="module")
def tracking() -> Any:
    from specnorm import tracking

    return tracking


@pytest.fixture(scope="module")
def database(tracking: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated store for all tests: each takes its own experiment in it."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow store") / "mlflow.db"  # a blank in the path, on purpose
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(tracking: Any, database: Path, request: pytest.FixtureRequest) -> Any:
    return tracking.Store(f"sqlite:///{database}", database.parent / "mlartifacts", request.node.name)


@pytest.fixture
def params() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((made_up.ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["norm"] = {name: values["norm"][name] for name in MODES}
    return values


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return made_up.write_shards(tmp_path / "data/spectrograms")


@pytest.fixture
def stored(tmp_path: Path, shards: Shards) -> list[StoredCell]:
    return made_up.write_cells(tmp_path / "data/cells", shards, MODES)


@pytest.fixture
def sources(tmp_path: Path) -> Callable[[StoredCell], dict[str, Path]]:
    def call(cell: StoredCell) -> dict[str, Path]:
        norm, fold = cell.metrics["norm"], cell.metrics["fold"]
        found = {name: tmp_path / name / norm / f"fold-{fold}.json" for name in SOURCES}
        for name, path in found.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {norm} {fold}")
        return found

    return call


@pytest.fixture
def sync(
    tracking: Any, store: Any, params: dict[str, Any], sources: Any, tmp_path: Path
) -> Callable[..., tuple[int, int]]:
    """Sync cells as they are, with a comparison of just them; ``tags`` override the usual ones."""

    def call(cells: list[StoredCell], compared: Results | None = None, **tags: str) -> tuple[int, int]:
        compared = compared or write_results(tmp_path / "data/comparison", cells)
        found: tuple[int, int] = tracking.sync(store, compared, cells, params, TAGS | tags, sources)
        return found

    return call


def client_of(store: Any) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(store.uri)


def artifact(store: Any, run: Any, name: str) -> str:
    return (store.artifacts / run.info.run_id / "artifacts" / name).read_text()


def runs(store: Any) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(store.uri)
    return list(client.search_runs([client.get_experiment_by_name(store.experiment).experiment_id]))


def of_kind(store: Any, kind: str) -> list[Any]:
    return [run for run in runs(store) if run.data.tags["kind"] == kind]


def test_a_run_a_mode_and_a_run_a_cell_once(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    assert sync(stored) == (8, 0)
    assert sync(stored) == (0, 8)
    assert len(runs(store)) == 8
    assert all(run.info.status == "FINISHED" for run in runs(store))
    parents = {run.info.run_id: run for run in of_kind(store, "mode")}
    assert {run.info.run_name for run in parents.values()} == set(MODES)
    children = of_kind(store, "cell")
    assert {run.info.run_name for run in children} == {f"{m} fold {f} seed 0" for m in MODES for f in made_up.FOLDS}
    for child in children:
        parent = parents[child.data.tags["mlflow.parentRunId"]]
        assert parent.data.params["norm"] == child.data.params["norm"]
    assert all("mlflow.parentRunId" not in parent.data.tags for parent in parents.values())


def test_numbers_are_the_verdicts_and_the_cells(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
) -> None:
    compared = write_results(tmp_path / "data/comparison", stored)
    sync(stored, compared)
    for row in compared.verdict.modes:
        (parent,) = (run for run in of_kind(store, "mode") if run.info.run_name == row.norm)
        scores = {name: value for name, value in parent.data.metrics.items() if name.startswith("cv/")}
        parts = {"mean": "mean", "sd": "deviation", "low": "low", "high": "high"}
        assert scores == {
            f"cv/{name}_{part}": getattr(getattr(row, name), key)
            for name in made_up.METRICS
            for part, key in parts.items()
        }
    cell = stored[4]
    (child,) = (run for run in of_kind(store, "cell") if run.info.run_name == "global fold 2 seed 0")
    assert child.data.metrics["test/accuracy"] == cell.metrics["accuracy"]
    assert child.data.metrics["test/loss"] == cell.metrics["loss"]
    curve = client_of(store).get_metric_history(child.info.run_id, "valid/loss")
    assert [(point.step, point.value) for point in curve] == list(
        zip(cell.history["epoch"], cell.history["valid_loss"], strict=True)
    )


def test_a_modes_curves_are_the_means_of_its_cells(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    stored[3].history.loc[1, "train_loss"] = math.nan
    sync(stored)
    own = [cell.history for cell in stored if cell.metrics["norm"] == "global"]
    (parent,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    points = {
        name: {point.step: point.value for point in client_of(store).get_metric_history(parent.info.run_id, name)}
        for name in ("train/loss", "valid/accuracy")
    }
    accuracies = np.mean([history["valid_accuracy"] for history in own], axis=0)
    assert points["valid/accuracy"] == pytest.approx(dict(zip((1, 2), accuracies, strict=True)))
    assert set(points["train/loss"]) == {1}  # of the second epoch one cell has none, and the others alone are no mean


def test_params_are_flat_and_of_one_set_of_keys(
    sync: Any, store: Any, stored: list[StoredCell], params: dict[str, Any]
) -> None:
    """MLflow's comparison shows what differs only where every run has the key."""
    params["norm"]["global"]["floor_db"] = -80.0
    sync(stored)
    assert len({frozenset(run.data.params) for run in runs(store)}) == 1
    for run in runs(store):
        assert run.data.params["mode.floor_db"] == ("-80.0" if run.data.params["norm"] == "global" else "")
        assert run.data.params["train.epochs"] == "20"
        assert not any(value.startswith("{") for value in run.data.params.values())
    assert {run.data.params["fold"] for run in of_kind(store, "cell")} == {"1", "2", "3"}
    assert {run.data.params["fold"] for run in of_kind(store, "mode")} == {"all"}


def test_no_password_and_no_path_of_this_machine(
    sync: Any, store: Any, stored: list[StoredCell], params: dict[str, Any]
) -> None:
    params["dataset"] |= {"source": "/home/me/secret/esc.zip", "url": "https://host/a.zip?download=secret"}
    sync(stored)
    for run in runs(store):
        assert run.data.params["dataset.source"] == "esc.zip"
        assert run.data.params["dataset.url"] == "https://host/a.zip"
        text = repr(run.data)
        assert not any(word in text for word in ("secret", "pw@", "token", str(made_up.ROOT), str(Path.home()) + "/"))


def test_the_same_result_under_another_name_or_from_another_place_is_known(
    sync: Any, store: Any, stored: list[StoredCell], params: dict[str, Any]
) -> None:
    assert sync(stored, **{"dvc.experiment": "workspace"}) == (8, 0)
    params["recipe"] = "another"
    params["dataset"]["source"] = "elsewhere.zip"
    params["norm"]["unused"] = {"kind": "identity", "waveform": "raw", "option": 3}
    for _ in range(2):
        assert sync(stored, **{"dvc.experiment": "puffy-shoe", "mlflow.source.git.commit": "abc"}) == (0, 8)
        assert {run.data.tags["dvc.experiments"] for run in runs(store)} == {"workspace,puffy-shoe"}


def test_one_mode_alone_is_known_from_the_whole_experiment(sync: Any, stored: list[StoredCell]) -> None:
    """`dvc exp run -S norm=global` after `dvc repro`, in either order."""
    assert sync(stored[3:]) == (4, 0)
    assert sync(stored) == (4, 4)


def test_a_half_written_run_is_replaced(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    from mlflow.tracking import MlflowClient

    sync(stored)
    client = MlflowClient(store.uri)
    cell = of_kind(store, "cell")[0].info.run_id
    client.update_run(cell, status="RUNNING")
    assert sync(stored) == (1, 7)
    assert len(runs(store)) == 8
    assert cell not in {run.info.run_id for run in runs(store)}
    assert sync(stored) == (0, 8)


@pytest.mark.parametrize("how", ["half-written", "deleted by hand"])
def test_a_replaced_modes_run_gets_its_cells_back(sync: Any, store: Any, stored: list[StoredCell], how: str) -> None:
    from mlflow.tracking import MlflowClient

    sync(stored)
    client = MlflowClient(store.uri)
    old = of_kind(store, "mode")[0].info.run_id
    if how == "half-written":
        client.update_run(old, status="RUNNING")
    else:
        client.delete_run(old)
    assert sync(stored) == (1, 7)
    parents = {run.info.run_id for run in of_kind(store, "mode")}
    assert len(parents) == 2
    assert old not in parents
    assert {run.data.tags["mlflow.parentRunId"] for run in of_kind(store, "cell")} == parents


def test_a_write_that_breaks_off_is_made_good(
    sync: Any, store: Any, stored: list[StoredCell], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    ended = MlflowClient.set_terminated
    calls = []

    def breaking(self: MlflowClient, run_id: str) -> None:
        calls.append(run_id)
        if len(calls) == 3:
            raise ConnectionError("the store went away")
        ended(self, run_id)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", breaking)
        with pytest.raises(ResourceError, match="the store went away"):
            sync(stored)
    assert len(runs(store)) == 3
    assert sync(stored) == (6, 2)
    assert len(runs(store)) == 8


def test_a_changed_cell_is_a_new_result_and_the_old_one_stays(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path, shards: Shards
) -> None:
    sync(stored)
    changed = made_up.write_cell(tmp_path / "again", shards, "global", 2, right=7)
    assert sync([*stored[:4], changed, stored[5]]) == (4, 4)  # the mode and its three cells; the other mode is known
    assert sorted(run.info.run_name for run in of_kind(store, "mode")) == ["global", "global", "none"]


def test_a_fold_more_is_a_new_result_of_its_mode(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    two = [cell for cell in stored if cell.metrics["fold"] < 3]
    assert sync(two) == (6, 0)
    assert sync(stored) == (8, 0)
    assert sync(two) == (0, 6)
    sizes = sorted(
        sum(cell.data.tags["mlflow.parentRunId"] == mode.info.run_id for cell in of_kind(store, "cell"))
        for mode in of_kind(store, "mode")
    )
    assert sizes == [2, 2, 3, 3]


def test_long_training_and_numbers_that_are_none(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path, shards: Shards
) -> None:
    """MLflow takes a thousand numbers a call, and turns an infinity into 1.8e308."""
    long = made_up.write_cell(tmp_path / "long", shards, "none", 1, epochs=400)
    long.history.loc[7, "valid_loss"] = math.inf
    long.history.loc[9, "valid_loss"] = math.nan
    assert sync([long]) == (2, 0)
    (run,) = of_kind(store, "cell")
    client = client_of(store)
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 400
    steps = {point.step: point.value for point in client.get_metric_history(run.info.run_id, "valid/loss")}
    assert set(range(1, 401)) - set(steps) == {8, 10}
    assert max(steps.values()) < 1
    (parent,) = of_kind(store, "mode")
    scores = {name for name in parent.data.metrics if name.startswith("cv/accuracy")}
    assert scores == {"cv/accuracy_mean", "cv/accuracy_low", "cv/accuracy_high"}  # one cell has no deviation


def test_the_experiment_says_what_it_is_and_where_its_artefacts_go(
    sync: Any, store: Any, stored: list[StoredCell], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    sync(stored)
    experiment = client_of(store).get_experiment_by_name(store.experiment)
    assert experiment.artifact_location == store.artifacts.as_uri()
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "| none" in experiment.tags["mlflow.note.content"]
    assert list(elsewhere.iterdir()) == []


def test_every_run_says_what_it_was_made_of(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    stored[1].run.update(device="cuda", precision="bf16", torch="2.11.0")
    sync(stored)
    for run in runs(store):
        assert run.data.params["dataset.digest"] == "0123456789abcdef" * 4
        assert run.data.params["spectrogram.fingerprint"] == stored[0].metrics["front_end"]
        assert run.data.params["git.commit"] == TAGS["mlflow.source.git.commit"]
        assert run.data.params["dvc.experiment"] == "workspace"
    found = {run.info.run_name: run.data.params for run in runs(store)}
    assert (found["none"]["run.device"], found["none"]["run.precision"]) == ("cpu, cuda", "bf16, fp32")
    assert found["none fold 1 seed 0"]["run.device"] == "cpu"
    assert (found["none fold 2 seed 0"]["run.device"], found["none fold 2 seed 0"]["run.torch"]) == ("cuda", "2.11.0")
    assert found["global"]["run.device"] == "cpu"


def test_every_run_names_its_data(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    sync(stored)
    inputs = {
        run.info.run_name: {
            each.dataset.name: (each.tags[0].value, json.loads(each.dataset.profile)["num_rows"])
            for each in run.inputs.dataset_inputs
        }
        for run in runs(store)
    }
    assert inputs["none"] == {"esc50": ("cross-validation", 21)}
    assert inputs["global fold 2 seed 0"] == {
        "esc50-fold2": ("validation", 7),
        "esc50-without-fold2": ("training", 14),
    }
    digests = {each.dataset.digest for run in runs(store) for each in run.inputs.dataset_inputs}
    assert digests == {("0123456789abcdef" * 4)[:36]}


def test_a_part_of_a_data_set_has_a_name_of_its_own(
    sync: Any, store: Any, stored: list[StoredCell], params: dict[str, Any]
) -> None:
    params["dataset"]["subset"] = "esc10"
    sync(stored[:3])
    (mode,) = of_kind(store, "mode")
    assert [each.dataset.name for each in mode.inputs.dataset_inputs] == ["esc10"]


@pytest.mark.parametrize(("given", "name"), [(None, "my birds"), ("spring", "spring")])
def test_a_data_set_of_one_s_own_has_its_source_s_or_its_own_name(
    sync: Any, store: Any, stored: list[StoredCell], params: dict[str, Any], given: str | None, name: str
) -> None:
    params["dataset"] = {
        "kind": "folder",
        "name": given,
        "source": "/data/my birds.zip",
        "group_pattern": None,
        "strict_labels": False,
        "folds": 3,
        "seed": 0,
    }
    sync(stored[:3])
    (mode,) = of_kind(store, "mode")
    assert [each.dataset.name for each in mode.inputs.dataset_inputs] == [name]


def test_a_cell_brings_what_it_was_made_from(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    sync(stored)
    (cell,) = (run for run in of_kind(store, "cell") if run.info.run_name == "global fold 2 seed 0")
    for name in SOURCES:
        assert artifact(store, cell, f"{name}/fold-2.json") == f"{name} of global 2"


def test_a_mode_brings_the_comparison(sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path) -> None:
    from specnorm.report.style import colours

    sync(stored, write_results(tmp_path / "data/comparison", stored, recommended="global"))
    for run in of_kind(store, "mode"):
        name = run.info.run_name
        assert artifact(store, run, "report.html") == "<p>the report</p>"
        assert artifact(store, run, "figures/modes.svg") == "a picture"
        note = run.data.tags["mlflow.note.content"]
        assert note.startswith(f"`{name}` is {'' if name == 'global' else 'not '}the recommended mode. Use global: ")
        assert "- global and none are not distinguishable." in note
        assert run.data.tags["mlflow.runColor"] == colours({"none": "identity", "global": "standardize"})[name]


def test_a_modes_tables_are_MLflows(
    sync: Any, store: Any, stored: list[StoredCell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)  # MLflow's own reader of tables asks no client for it
    sync(stored)
    client = client_of(store)
    experiment = client.get_experiment_by_name(store.experiment).experiment_id
    for run in of_kind(store, "mode"):
        table = client.load_table(experiment, "comparison.json", [run.info.run_id])
        assert list(table["norm"]) == list(MODES)
        assert {"cells", "accuracy_mean", "accuracy_sd", "accuracy_low", "calibration_error_high"} <= set(table)
        own = client.load_table(experiment, "cells.json", [run.info.run_id])
        accuracies = [cell.metrics["accuracy"] for cell in stored if cell.metrics["norm"] == run.info.run_name]
        assert list(own["accuracy"]) == pytest.approx(accuracies)
        assert list(own["fold"]) == list(made_up.FOLDS)
        # What the UI goes by, as MlflowClient.log_table leaves it.
        logged = json.loads(run.data.tags["mlflow.loggedArtifacts"])
        assert {"path": "comparison.json", "type": "table"} in logged


def test_another_comparison_around_a_mode_is_shown_in_the_same_run(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    assert sync(stored[3:]) == (4, 0)
    (before,) = of_kind(store, "mode")
    assert "`global` is the recommended mode" in before.data.tags["mlflow.note.content"]
    changed = write_results(tmp_path / "data/comparison", stored, recommended="none", figure="another picture")
    assert sync(stored, changed) == (4, 4)
    (after,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    assert after.info.run_id == before.info.run_id
    assert "`global` is not the recommended mode" in after.data.tags["mlflow.note.content"]
    assert after.data.tags["specnorm.comparison.checked"] != before.data.tags["specnorm.comparison.checked"]
    assert artifact(store, after, "figures/modes.svg") == "another picture"
    client = client_of(store)
    table = client.load_table(after.info.experiment_id, "comparison.json", [after.info.run_id])
    assert list(table["norm"]) == list(MODES)  # in place of the old one, and not below it


def test_intervals_that_are_computed_otherwise_are_new_runs(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
) -> None:
    """A finished run's metrics are never written again, so they must not stand beside a newer note."""
    sync(stored)
    assert sync(stored, write_results(tmp_path / "data/comparison", stored, width=0.0625)) == (8, 0)
    widths = {
        round(run.data.metrics["cv/accuracy_high"] - run.data.metrics["cv/accuracy_mean"], 9)
        for run in of_kind(store, "mode")
    }
    assert widths == {0.125, 0.0625}


def test_a_mode_alone_leaves_what_a_comparison_said_of_it(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
) -> None:
    """`dvc exp run -S norm=global` after `dvc repro`."""
    sync(stored)
    (before,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    experiment = client_of(store).get_experiment_by_name(store.experiment).tags["mlflow.note.content"]
    alone = write_results(tmp_path / "alone", stored[3:], figure="a picture of one mode")
    assert sync(stored[3:], alone) == (0, 4)
    (after,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    assert after.data.tags["mlflow.note.content"] == before.data.tags["mlflow.note.content"]
    assert artifact(store, after, "figures/modes.svg") == "a picture"
    assert client_of(store).get_experiment_by_name(store.experiment).tags["mlflow.note.content"] == experiment


def test_new_figures_of_the_same_verdict_are_shown(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
) -> None:
    sync(stored)
    sync(stored, write_results(tmp_path / "data/comparison", stored, figure="a better picture"))
    assert {artifact(store, run, "figures/modes.svg") for run in of_kind(store, "mode")} == {"a better picture"}


def test_a_comparison_that_is_shown_already_is_not_written_again(
    sync: Any, store: Any, stored: list[StoredCell]
) -> None:
    sync(stored)
    times = {path: path.stat().st_mtime_ns for path in store.artifacts.rglob("*")}
    sync(stored)
    assert {path: path.stat().st_mtime_ns for path in store.artifacts.rglob("*")} == times


def test_artefacts_that_cannot_be_written_are_made_good(
    tracking: Any, sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
) -> None:
    place = tmp_path / "artefacts"
    place.write_text("a file where a folder should be")
    object.__setattr__(store, "artifacts", place)
    with pytest.raises(ResourceError, match="cannot use the MLflow store"):
        sync(stored)
    place.unlink()
    added, known = sync(stored)
    assert added + known == 8
    assert len(runs(store)) == 8
    for run in of_kind(store, "mode"):
        assert artifact(store, run, "report.html")
    for run in of_kind(store, "cell"):
        assert artifact(store, run, f"normalizer/fold-{run.data.params['fold']}.json")


def test_a_comparison_of_other_cells_is_refused(sync: Any, stored: list[StoredCell], tmp_path: Path) -> None:
    compared = write_results(tmp_path / "data/comparison", stored)
    with pytest.raises(IntegrityError, match=r"a comparison of other cells in .*data/comparison"):
        sync(stored[:5], compared)
    changed = dataclasses.replace(stored[1], metrics={**stored[1].metrics, "loss": 0.25})  # trained again since
    with pytest.raises(IntegrityError, match=r"a comparison of other cells in .*data/comparison"):
        sync([stored[0], changed, *stored[2:]], compared)


# The stage


@pytest.fixture
def workspace(
    tmp_path: Path, tracking: Any, stored: list[StoredCell], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    # The stage sets these for its process; here they must not outlive the test. No retries: they only take time.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    made_up.write_params(tmp_path / "params.yaml", fewer_modes)
    write_results(places.COMPARISON, stored)
    for cell in stored:
        norm, fold = cell.metrics["norm"], cell.metrics["fold"]
        variant = "raw" if norm == "none" else "standardized"
        for path in (places.STATISTICS / f"fold-{fold}/{variant}.json", places.normalizer_path(norm, fold)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("numbers")
    monkeypatch.setattr("specnorm.classifier.module.load", lambda *_: tiny_classifier())
    return tmp_path


def tiny_classifier() -> Classifier:
    """Fit for the made-up cells, which have no network: three classes by the mean level."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, len(made_up.CLASSES)))
    return Classifier(FrontEnd(builders.front_end_params()), "raw", nn.Identity(), network).eval()


def fewer_modes(values: dict[str, Any]) -> None:
    values["norm"] = {name: values["norm"][name] for name in MODES}


def required(values: dict[str, Any]) -> None:
    fewer_modes(values)
    values["tracking"]["required"] = True


def corrupt(folder: Path) -> str:
    (folder / "mlflow.db").write_bytes(b"this is no database" * 500)
    return "file is not a database"


def a_folder(folder: Path) -> str:
    (folder / "mlflow.db").mkdir()
    return "unable to open database file"


def of_another_program(folder: Path) -> str:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0123456789ab')")
    connection.close()
    return "0123456789ab"


BROKEN = [corrupt, a_folder, of_another_program]


@pytest.mark.parametrize("breaking", BROKEN)
def test_a_broken_database_costs_a_warning(
    workspace: Path, capsys: pytest.CaptureFixture[str], breaking: Callable[[Path], str]
) -> None:
    message = breaking(workspace)
    assert track.main([]) == 0
    error = capsys.readouterr().err
    assert "warning: results not mirrored into MLflow: cannot use the MLflow store" in error
    assert message in error
    assert f"in sqlite:///{workspace}/mlflow.db: " in error
    assert "The results are safe in data/" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("breaking", BROKEN)
def test_a_broken_database_is_an_error_where_tracking_is_required(
    workspace: Path, capsys: pytest.CaptureFixture[str], breaking: Callable[[Path], str]
) -> None:
    message = breaking(workspace)
    made_up.write_params(workspace / "params.yaml", required)
    assert track.main([]) == 5
    error = capsys.readouterr().err
    assert "track: results not mirrored" in error
    assert message in error


@pytest.mark.parametrize(
    "uri", ["http://me:secret@127.0.0.1:1", "foo://nowhere", "./mlruns", "sqlite:////proc/nowhere/mlflow.db"]
)
def test_a_store_that_cannot_be_reached(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert track.main([]) == 0
    assert "warning: results not mirrored into MLflow" in capsys.readouterr().err
    made_up.write_params(workspace / "params.yaml", required)
    assert track.main([]) == 5
    error = capsys.readouterr().err
    assert "secret" not in error
    assert not (workspace / "mlflow.db").exists()  # no silent second store


def test_a_locked_database_is_given_up_in_time(
    workspace: Path, tracking: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specnorm.tracking.store._BUSY_SECONDS", 0.2)
    connection = sqlite3.connect(workspace / "mlflow.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    assert track.main([]) == 0
    connection.close()
    assert "database is locked" in capsys.readouterr().err


def test_another_process_at_the_store_is_waited_for_and_then_left_alone(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from specnorm import files

    monkeypatch.setattr(track, "_LOCK_SECONDS", 0.1)
    with files.exclusive(workspace / ".cache/locks/mlflow.lock"):
        assert track.main([]) == 0
    assert "lock held by process" in capsys.readouterr().err


def test_the_repositorys_store_is_used_from_an_experiments_copy(
    workspace: Path, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """DVC runs queued experiments in a temporary copy: the store, its artefacts and its lock stay in the original."""
    from mlflow.tracking import MlflowClient

    original = tmp_path / "the original"
    original.mkdir()
    (original / "mlflow.db").write_bytes(database.read_bytes())  # a migrated one: seconds less
    monkeypatch.setenv("DVC_ROOT", str(original))
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-shoe")
    for added, known in ((8, 0), (0, 8)):
        assert track.main([]) == 0
        said = capsys.readouterr()
        assert f"{added} runs added, {known} there before" in said.out
        assert "The recommended mode's model: models:/specnorm-esc50-classifier@champion" in said.out, said.err
    assert not (workspace / "mlflow.db").exists()
    client = MlflowClient(f"sqlite:///{original / 'mlflow.db'}")
    (version,) = client.search_model_versions("name = 'specnorm-esc50-classifier'")
    assert version.source.startswith((original / "mlartifacts").as_uri())
    experiment = client.get_experiment_by_name("specnorm")
    assert experiment.artifact_location == (original / "mlartifacts").as_uri()
    for run in client.search_runs([experiment.experiment_id]):
        assert run.data.tags["dvc.experiment"] == "puffy-shoe"
        assert run.data.tags["mlflow.user"]
        assert "/" not in run.data.tags["mlflow.user"]
        assert str(tmp_path) not in repr(run.data)


def test_a_model_that_cannot_be_registered_costs_no_run(
    workspace: Path, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow.tracking import MlflowClient

    class Untraceable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.max() > 0 else -x

    broken = tiny_classifier()
    broken.model.normalizer = Untraceable()
    monkeypatch.setattr("specnorm.classifier.module.load", lambda *_: broken)
    (workspace / "mlflow.db").write_bytes(database.read_bytes())
    assert track.main([]) == 0
    said = capsys.readouterr()
    assert "8 runs added" in said.out
    assert "warning: the recommended mode's model not registered in MLflow: the model cannot be exported" in said.err
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    assert not client.search_model_versions("name = 'specnorm-esc50-classifier'")
    made_up.write_params(workspace / "params.yaml", required)
    assert track.main([]) == 5
    monkeypatch.setattr("specnorm.classifier.module.load", lambda *_: tiny_classifier())
    assert track.main([]) == 0
    assert "0 runs added, 8 there before" in capsys.readouterr().out
    assert len(client.search_model_versions("name = 'specnorm-esc50-classifier'")) == 1


def test_a_machine_without_git_or_a_user_name_still_tracks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(track.getpass, "getuser", nameless)
    assert track._tags() == {
        "mlflow.source.git.commit": "unknown",
        "mlflow.user": "unknown",
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", "workspace"),
    }


def test_the_stages_module_alone_imports_no_mlflow() -> None:
    """Its switches are environment variables that MLflow reads when it is imported: they must be set before."""
    code = "import stages.track, sys; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=made_up.ROOT, check=True)
