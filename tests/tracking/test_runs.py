"""MLflow holds every result once, and whole, whatever happens to the store."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specnorm.errors import IntegrityError, ResourceError
from specnorm.shards.store import Shards
from specnorm.tracking.place import VIEW, page
from specnorm.training.cells import StoredCell
from tests import made_up
from tests.tracking.mirrored import MODES, SOURCES, TAGS, artifact, client_of, of_kind, runs, widths, write_results

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


@pytest.mark.case("V4")
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
        accuracy = row.accuracy
        expected = {"": accuracy.mean, "_from": accuracy.low, "_to": accuracy.high}
        others = {f"cv/{name}_mean": getattr(row, name).mean for name in made_up.METRICS[1:]}
        assert scores == pytest.approx(
            {f"cv/accuracy_mean{part}": value for part, value in expected.items()} | others, abs=5.1e-7
        )
        # MLflow's list and its comparison go by the alphabet: the accuracy and its interval stand first.
        assert sorted(parent.data.metrics)[:3] == [f"cv/accuracy_mean{part}" for part in expected]
        assert max(len(str(value)) for value in scores.values()) <= 8
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


@pytest.mark.case("X3")
def test_no_query_and_no_path_of_this_machine(
    sync: Any, store: Any, stored: list[StoredCell], params: dict[str, Any]
) -> None:
    params["dataset"] |= {"source": "/home/me/secret/esc.zip", "url": "https://host/a.zip?version=1"}
    sync(stored)
    for run in runs(store):
        assert run.data.params["dataset.source"] == "esc.zip"
        assert run.data.params["dataset.url"] == "https://host/a.zip"
        text = repr(run.data)
        assert not any(word in text for word in ("secret", "version=1", str(made_up.ROOT), str(Path.home()) + "/"))


@pytest.mark.case("V4")
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


@pytest.mark.parametrize("deleted", [["dvc.experiments"], ["dvc.experiments", "dvc.experiment"]])
def test_tags_that_were_deleted_in_the_ui_are_told_anew(
    sync: Any, store: Any, stored: list[StoredCell], deleted: list[str]
) -> None:
    sync(stored)
    for run in runs(store):
        for name in deleted:
            client_of(store).delete_tag(run.info.run_id, name)
    assert sync(stored, **{"dvc.experiment": "puffy-shoe"}) == (0, 8)
    told = "puffy-shoe" if "dvc.experiment" in deleted else "workspace,puffy-shoe"
    assert {run.data.tags["dvc.experiments"] for run in runs(store)} == {told}
    assert sync(stored) == (0, 8)


def test_files_that_were_lost_are_given_back_and_no_others_are_written(
    store: Any, finished: Any, stored: list[StoredCell]
) -> None:
    from specnorm.tracking.runs import sync

    def files() -> dict[Path, int]:
        return {path: path.stat().st_ctime_ns for path in folder.rglob("*") if path.is_file()}

    folder = store.artifacts
    results = finished(stored)
    sync(store, results)
    before = files()
    (mode,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    (cell,) = (run for run in of_kind(store, "cell") if run.info.run_name == "none fold 2 seed 0")
    lost = {folder / mode.info.run_id / "artifacts" / name for name in ("cells.json", "figures/modes.svg")}
    lost.add(folder / cell.info.run_id / "artifacts/statistics/fold-2.json")
    for path in lost:
        path.unlink()
    found = sync(store, results)
    assert (found.added, found.known, found.mended) == (0, 8, 2)
    assert {path for path, time in files().items() if before[path] != time} == lost
    assert sync(store, results).mended == 0


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

    def breaking(self: MlflowClient, run_id: str, end_time: int) -> None:
        calls.append(run_id)
        if len(calls) == 3:
            raise ConnectionError("the store went away")
        ended(self, run_id, end_time=end_time)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", breaking)
        with pytest.raises(ResourceError, match="the store went away"):
            sync(stored)
    assert len(runs(store)) == 3
    assert sync(stored) == (6, 2)
    assert len(runs(store)) == 8


@pytest.mark.case("V4")
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


@pytest.mark.case("V3")
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
    assert scores == {"cv/accuracy_mean", "cv/accuracy_mean_from", "cv/accuracy_mean_to"}


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


def test_a_run_began_and_ended_when_its_cells_did(sync: Any, store: Any, stored: list[StoredCell]) -> None:
    """Two seconds a cell, as their files say; the ends are told by some of them, and reckoned for others."""
    for index, cell in enumerate(stored):
        os.utime(cell.folder / "metrics.json", (0, 1000 + 10 * index))
    stored[0].run["ended"] = 500.25
    sync(stored)
    found = {run.info.run_name: run for run in runs(store)}
    times = {name: (run.info.start_time, run.info.end_time) for name, run in found.items()}
    assert times["none fold 1 seed 0"] == (498_250, 500_250)
    assert times["none fold 2 seed 0"] == (1_008_000, 1_010_000)
    assert times["none"] == (498_250, 1_020_000)
    assert times["global"] == (1_028_000, 1_050_000)
    known = {name: run.data.params["run.times"] for name, run in found.items()}
    assert known["none fold 1 seed 0"] == "recorded"
    assert known["global"] == known["none fold 2 seed 0"] == "reckoned from a file's time"
    assert known["none"] == "reckoned from a file's time, recorded"
    # An epoch's is reckoned, and the scores are the last thing.
    cell = found["none fold 2 seed 0"].info.run_id
    client = client_of(store)
    assert [point.timestamp for point in client.get_metric_history(cell, "train/loss")] == [1_009_000, 1_010_000]
    assert [point.timestamp for point in client.get_metric_history(cell, "test/accuracy")] == [1_010_000]


def test_the_link_shows_accuracy_with_its_interval_and_the_curves(
    sync: Any, store: Any, stored: list[StoredCell]
) -> None:
    sync(stored)
    client = client_of(store)
    experiment = client.get_experiment_by_name(store.experiment)
    assert f"viewStateShareKey={VIEW}" in page(experiment.experiment_id)
    tag = experiment.tags[f"mlflow.sharedViewState.{VIEW}"]
    assert len(tag) < 5000  # the most that MLflow takes
    shown = json.loads(tag)
    assert shown["selectedColumns"][:3] == [f"metrics.`cv/accuracy_mean{part}`" for part in ("", "_from", "_to")]
    charts = {chart["metricKey"]: chart["type"] for chart in shown["compareRunCharts"] if not chart["deleted"]}
    curves = dict.fromkeys(("train/loss", "valid/loss", "valid/accuracy"), "LINE")
    assert charts == {"cv/accuracy_mean": "BAR"} | curves
    # MLflow adds a chart for each metric that is not there.
    logged = {name for run in runs(store) for name in run.data.metrics}
    assert logged == {chart["metricKey"] for chart in shown["compareRunCharts"]}
    client.set_experiment_tag(experiment.experiment_id, f"mlflow.sharedViewState.{VIEW}", "of an older version")
    sync(stored)
    assert client.get_experiment_by_name(store.experiment).tags[f"mlflow.sharedViewState.{VIEW}"] == tag


def test_no_label_is_a_part_of_a_notes_markdown(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
) -> None:
    hostile = "Fold 1 has no clip of '<img src=x onerror=alert(1)>' or '[a](http://b) | **c**'"
    sync(stored, write_results(tmp_path / "data/comparison", stored, caveat=hostile))
    note = client_of(store).get_experiment_by_name(store.experiment).tags["mlflow.note.content"]
    assert "'&lt;img src=x onerror=alert(1)&gt;' or '\\[a\\](http://b) \\| \\*\\*c\\*\\*'" in note


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

    sync(stored, write_results(tmp_path / "data/comparison", stored, decided="global"))
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
    changed = write_results(tmp_path / "data/comparison", stored, decided="none", figure="another picture")
    assert sync(stored, changed) == (4, 4)
    (after,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    assert after.info.run_id == before.info.run_id
    assert "`global` is not the recommended mode" in after.data.tags["mlflow.note.content"]
    assert after.data.tags["specnorm.comparison.checked"] != before.data.tags["specnorm.comparison.checked"]
    assert artifact(store, after, "figures/modes.svg") == "another picture"
    client = client_of(store)
    table = client.load_table(after.info.experiment_id, "comparison.json", [after.info.run_id])
    assert list(table["norm"]) == list(MODES)  # in place of the old one, and not below it


def test_the_interval_among_other_modes_is_shown_in_the_same_run(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs' variance is estimated over all modes together: each set of modes gives each of them another interval."""
    sync(stored)
    wider = write_results(tmp_path / "wider", stored, width=0.25)
    assert sync(stored, wider) == (0, 8)
    assert widths(store) == {0.25}
    # Back again, at a clock that is behind the one of the machine that trained: MLflow shows a step's latest.
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert sync(stored) == (0, 8)
    assert widths(store) == {0.125}


def test_a_mode_alone_leaves_what_a_comparison_said_of_it(
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
) -> None:
    """`dvc exp run -S norm=global` after `dvc repro`."""
    sync(stored)
    (before,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    experiment = client_of(store).get_experiment_by_name(store.experiment).tags["mlflow.note.content"]
    alone = write_results(tmp_path / "alone", stored[3:], figure="a picture of one mode", width=0.25)
    assert sync(stored[3:], alone) == (0, 4)
    (after,) = (run for run in of_kind(store, "mode") if run.info.run_name == "global")
    assert after.data.tags["mlflow.note.content"] == before.data.tags["mlflow.note.content"]
    assert widths(store) == {0.125}
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
    sync: Any, store: Any, stored: list[StoredCell], tmp_path: Path
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
