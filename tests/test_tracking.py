"""MLflow holds every result once, whatever happens to the store, and never holds up a result."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from specnorm import comparison
from specnorm.cells import StoredCell
from specnorm.errors import ResourceError
from specnorm.shards import Shards
from stages import track
from tests import made_up

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported, by the fixture below
MODES = ("none", "global")


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
def sync(tracking: Any, store: Any, shards: Shards, params: dict[str, Any]) -> Callable[..., tuple[int, int]]:
    def call(cells: list[StoredCell], **tags: str) -> tuple[int, int]:
        found: tuple[int, int] = tracking.sync(store, comparison.compare(cells, shards), cells, params, tags)
        return found

    return call


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


def test_numbers_are_the_cells(sync: Any, store: Any, stored: list[StoredCell], shards: Shards) -> None:
    from mlflow.tracking import MlflowClient

    sync(stored)
    compared = comparison.compare(stored, shards)
    for row in compared.summary.to_dict("records"):
        (parent,) = (run for run in of_kind(store, "mode") if run.info.run_name == row["norm"])
        assert parent.data.metrics == {
            f"cv/{name}": row[name] for name in ("accuracy_mean", "accuracy_sd", "f1_macro_mean")
        }
    cell = stored[4]
    (child,) = (run for run in of_kind(store, "cell") if run.info.run_name == "global fold 2 seed 0")
    assert child.data.metrics["test/accuracy"] == cell.metrics["accuracy"]
    assert child.data.metrics["test/loss"] == cell.metrics["loss"]
    curve = MlflowClient(store.uri).get_metric_history(child.info.run_id, "valid/loss")
    assert [(point.step, point.value) for point in curve] == list(
        zip(cell.history["epoch"], cell.history["valid_loss"], strict=True)
    )


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
    params["dataset"] |= {"source": "/home/me/secret/esc.zip", "url": "https://me:pw@host/a.zip?token=1"}
    sync(stored)
    for run in runs(store):
        assert run.data.params["dataset.source"] == "esc.zip"
        assert run.data.params["dataset.url"] == "https://host/a.zip"
        text = repr(run.data)
        assert not any(word in text for word in ("secret", "pw@", "token", str(made_up.ROOT), str(Path.home()) + "/"))


def test_the_same_result_under_another_name_or_from_another_place_is_known(
    sync: Any, stored: list[StoredCell], params: dict[str, Any]
) -> None:
    assert sync(stored, **{"dvc.experiment": "workspace"}) == (8, 0)
    params["recipe"] = "another"
    params["dataset"]["source"] = "elsewhere.zip"
    params["norm"]["unused"] = {"kind": "identity", "waveform": "raw", "option": 3}
    assert sync(stored, **{"dvc.experiment": "puffy-shoe", "mlflow.source.git.commit": "abc"}) == (0, 8)


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
    from mlflow.tracking import MlflowClient

    long = made_up.write_cell(tmp_path / "long", shards, "none", 1, epochs=400)
    long.history.loc[7, "valid_loss"] = math.inf
    long.history.loc[9, "valid_loss"] = math.nan
    assert sync([long]) == (2, 0)
    (run,) = of_kind(store, "cell")
    client = MlflowClient(store.uri)
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 400
    steps = {point.step: point.value for point in client.get_metric_history(run.info.run_id, "valid/loss")}
    assert set(range(1, 401)) - set(steps) == {8, 10}
    assert max(steps.values()) < 1
    (parent,) = of_kind(store, "mode")
    assert set(parent.data.metrics) == {"cv/accuracy_mean", "cv/f1_macro_mean"}  # one cell has no deviation


def test_the_experiment_says_what_it_is_and_where_its_artefacts_go(
    sync: Any, store: Any, stored: list[StoredCell], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    sync(stored)
    experiment = MlflowClient(store.uri).get_experiment_by_name(store.experiment)
    assert experiment.artifact_location == store.artifacts.as_uri()
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "| none   |" in experiment.tags["mlflow.note.content"]
    assert list(elsewhere.iterdir()) == []


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
    return tmp_path


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
    assert "They are safe in data/" in error
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
    monkeypatch.setattr(tracking, "_BUSY_SECONDS", 0.2)
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
    assert track.main([]) == 0
    assert "8 runs added, 0 there before" in capsys.readouterr().out
    assert track.main([]) == 0
    assert "0 runs added, 8 there before" in capsys.readouterr().out
    assert not (workspace / "mlflow.db").exists()
    client = MlflowClient(f"sqlite:///{original / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("specnorm")
    assert experiment.artifact_location == (original / "mlartifacts").as_uri()
    for run in client.search_runs([experiment.experiment_id]):
        assert run.data.tags["dvc.experiment"] == "puffy-shoe"
        assert run.data.tags["mlflow.user"]
        assert "/" not in run.data.tags["mlflow.user"]
        assert str(tmp_path) not in repr(run.data)


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
