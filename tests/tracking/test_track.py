"""The stage: what becomes of results when MLflow fails, is shared, or has lost something."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import Tensor, nn

from pipeline import finished, places, ui
from specnorm import files
from specnorm.shards.store import Shards
from specnorm.tracking import marks
from specnorm.tracking.place import Store
from specnorm.training import cells
from specnorm.training.cells import StoredCell
from stages import track
from tests import made_up
from tests.tracking.mirrored import client_of, of_kind, runs, tiny_classifier, two_modes, widths, write_results

# MLflow 3.17 uses what SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


def required(values: dict[str, Any]) -> None:
    two_modes(values)
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


@pytest.mark.case("V1")
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


@pytest.mark.case("V1")
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


def read_only(folder: Path) -> str:
    with sqlite3.connect(folder / "mlflow.db") as connection:
        connection.execute("CREATE TABLE of_nothing (number INTEGER)")
    connection.close()
    return "attempt to write a readonly database"


def test_a_database_that_can_only_be_read_costs_one_line(
    workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite opens such a file without a word, and here as it would for whoever is not root."""
    message = read_only(workspace)
    connect = sqlite3.connect

    def without_rights(path: Path, **options: Any) -> sqlite3.Connection:
        return connect(f"{path.as_uri()}?mode=ro", uri=True, **options)

    def reached(*_: object) -> None:
        raise AssertionError("MLflow would try for minutes, and print a traceback")

    monkeypatch.setattr("specnorm.tracking.store.sqlite3.connect", without_rights)
    monkeypatch.setattr("specnorm.tracking.store.MlflowClient", reached)
    assert track.main([]) == 0
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line


UNREACHABLE = [
    "http://me:secret@127.0.0.1:1",
    "http://127.0.0.1:1?token=secret",
    "http://127.0.0.1:1/#secret",
    "http://[::1",
    "http://me:secret/@host",
    "http://",
    "foo://nowhere",
    "postgresql://me:secret@127.0.0.1:1/mlflow?sslpassword=secret",
    "./mlruns",
    "sqlite:////proc/nowhere/mlflow.db",
]


@pytest.mark.case("V1", "X3")
@pytest.mark.parametrize("uri", UNREACHABLE)
def test_a_store_that_cannot_be_reached(
    workspace: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    uri: str,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # each is logged, with the address
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    assert track.main([]) == 0
    said = capfd.readouterr()
    assert "warning: results not mirrored into MLflow: " in said.err
    made_up.write_params(workspace / "params.yaml", required)
    assert track.main([]) == 5
    everything = "".join([*said, *capfd.readouterr(), caplog.text])
    assert "secret" not in everything
    assert "Traceback" not in everything
    assert not (workspace / "mlflow.db").exists()  # no silent second store


@pytest.mark.case("V1")
def test_a_locked_database_is_given_up_in_time(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specnorm.tracking.store._BUSY_SECONDS", 0.2)
    connection = sqlite3.connect(workspace / "mlflow.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    assert track.main([]) == 0
    connection.close()
    assert "database is locked" in capsys.readouterr().err


# What failed is done again


@pytest.fixture
def migrated(workspace: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace with a store that MLflow need not prepare, and a model that torch need not export: seconds each."""

    def save(place: Path, *_: object) -> None:
        (place / "data").mkdir(parents=True)
        (place / "MLmodel").write_text("flavors: {}")
        (place / "data/model.pt2").write_text("a graph")

    monkeypatch.setattr("specnorm.tracking.champion._save", save)
    (workspace / "mlflow.db").write_bytes(database.read_bytes())
    return workspace


def of_folder(folder: Path) -> Store:
    return Store.at(f"sqlite:///{folder}/mlflow.db", "specnorm")


def champion(folder: Path) -> Any:
    return client_of(of_folder(folder)).get_model_version_by_alias("specnorm-esc50-classifier", "champion")


def marked(capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether the pipeline's own command found all done; it must be well, and warn of nothing."""
    assert track.main(["--unless-marked"]) == 0
    said = capsys.readouterr()
    assert "warning" not in said.err
    return "all there before" in said.out


def test_the_pipeline_runs_the_stage_each_time_and_a_mark_ends_it(
    migrated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC knows no stage that failed and went well: this one decides by itself, before MLflow is imported."""
    entry = yaml.safe_load((made_up.ROOT / "dvc.yaml").read_text())["stages"]["track"]
    assert entry["cmd"] == "python -m stages.track --unless-marked"
    assert entry["always_changed"] is True
    assert not marked(capsys)
    code = (
        "from stages import track\n"
        "assert track.main(['--unless-marked']) == 0\n"
        "assert 'mlflow' not in track.sys.modules"
    )
    env = os.environ | {"PYTHONPATH": str(made_up.ROOT)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    # What a mark knows nothing of is seen by the command without it, which is `make track`.
    run = of_kind(of_folder(migrated), "cell")[0]
    lost = next((migrated / "mlartifacts" / run.info.run_id / "artifacts/normalizer").iterdir())
    lost.unlink()
    assert marked(capsys)
    assert track.main([]) == 0
    assert "1 of them with lost files given back" in capsys.readouterr().out
    assert lost.read_text() == "numbers"


def test_what_is_registered_is_said(migrated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def all_models(values: dict[str, Any]) -> None:
        two_modes(values)
        values["tracking"]["models"] = "all"

    write_results(places.COMPARISON, finished_cells(), state="undecided")
    assert track.main([]) == 0
    assert "No model registered, and the champion stays: undecided" in capsys.readouterr().out
    made_up.write_params(migrated / "params.yaml", all_models)
    assert track.main([]) == 0
    said = capsys.readouterr().out
    assert "Models: versions of models:/specnorm-esc50-classifier: 1 global, 2 none" in said
    assert "champion" not in said
    write_results(places.COMPARISON, finished_cells(), decided="global", width=0.0625)
    assert track.main([]) == 0
    assert "The recommended mode's model: models:/specnorm-esc50-classifier@champion" in capsys.readouterr().out
    assert champion(migrated).tags["norm"] == "global"


def test_the_link_is_of_the_experiment_that_the_results_are_in(
    migrated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ui.main(["--port", "5001"]) == 0
    assert capsys.readouterr().out.startswith("http://127.0.0.1:5001/ has no runs yet: ")
    assert track.main([]) == 0
    capsys.readouterr()
    assert ui.main(["--port", "5001"]) == 0
    number = client_of(of_folder(migrated)).get_experiment_by_name("specnorm").experiment_id
    link = f"http://127.0.0.1:5001/#/experiments/{number}/runs?workflowType=machine_learning"
    assert link in capsys.readouterr().out


def test_an_experiments_name_is_one_more_thing_to_say(
    migrated: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-shoe")
    assert not marked(capsys)
    monkeypatch.delenv("DVC_EXP_NAME")
    assert marked(capsys)  # under no name there is nothing to add
    monkeypatch.setenv("DVC_EXP_NAME", "other-shoe")
    assert not marked(capsys)
    assert all("puffy-shoe,other-shoe" in run.data.tags["dvc.experiments"] for run in runs(of_folder(migrated)))
    assert marked(capsys)


@pytest.mark.case("V1")
def test_after_a_full_disk_the_next_run_catches_up(migrated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((migrated / "mlflow.db").stat().st_size, before[1]))
    try:
        assert track.main(["--unless-marked"]) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "warning: results not mirrored into MLflow" in capsys.readouterr().err
    assert not marked(capsys)
    assert len(runs(of_folder(migrated))) == 8
    assert champion(migrated).tags["norm"] == "none"
    assert marked(capsys)


@pytest.mark.case("V1")
def test_a_model_that_found_no_space_is_registered_by_the_next_run(
    migrated: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_model_artifacts", full)
        assert track.main(["--unless-marked"]) == 0
    said = capsys.readouterr()
    assert "8 runs added" in said.out
    assert "warning: a model not registered in MLflow: cannot use the MLflow store" in said.err
    assert not marked(capsys)
    assert champion(migrated).tags["norm"] == "none"


def forget_stores() -> None:
    """MLflow keeps its stores and their open files in its process; the next command is another process."""
    from mlflow.store.model_registry import sqlalchemy_store as registry
    from mlflow.store.tracking import sqlalchemy_store as tracking
    from mlflow.tracking._model_registry.registry import ModelRegistryStoreRegistry
    from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry

    for engines in (tracking.SqlAlchemyStore._engine_map, registry.SqlAlchemyStore._engine_map):
        for engine in engines.values():
            engine.dispose()
        engines.clear()
    TrackingStoreRegistry._get_store_with_resolved_uri.cache_clear()
    ModelRegistryStoreRegistry._get_store_with_resolved_uri.cache_clear()


@pytest.mark.parametrize("lost", ["artefacts", "database"])
def test_a_store_that_was_deleted_is_filled_again(
    migrated: Path, database: Path, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    assert track.main([]) == 0
    held = {path.name for path in (migrated / "mlartifacts").rglob("*") if path.is_file()}
    forget_stores()
    if lost == "artefacts":
        shutil.rmtree(migrated / "mlartifacts")
    else:
        (migrated / "mlflow.db").write_bytes(database.read_bytes())  # deleted, and `mlflow ui` made one
    capsys.readouterr()
    assert track.main(["--unless-marked"]) == 0
    said = capsys.readouterr().out
    mended = "0 runs added, 8 there before, 8 of them with lost files given back"
    assert (mended if lost == "artefacts" else "8 runs added, 0 there before") in said
    assert {path.name for path in (migrated / "mlartifacts").rglob("*") if path.is_file()} == held
    assert Path(champion(migrated).source.removeprefix("file://"), "data/model.pt2").read_text() == "a graph"
    assert len(runs(of_folder(migrated))) == 8
    assert marked(capsys)


@pytest.mark.case("V1")
def test_a_moved_clone_does_not_write_into_its_old_place(
    migrated: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It has its store with it, and its marks; the old one is gone, or another's by now."""
    assert track.main([]) == 0
    moved = tmp_path / "moved here"
    moved.mkdir()
    for path in [*tmp_path.iterdir()]:
        if path != moved:
            path.rename(moved / path.name)
    monkeypatch.chdir(moved)
    stored = [cells.read(path.parent) for path in sorted(places.CELLS.rglob("metrics.json"))]
    monkeypatch.setattr(finished, "cells", lambda _: stored)
    capsys.readouterr()
    for _ in range(2):
        assert track.main(["--unless-marked"]) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert "an MLflow store that was made in another place" in line
        assert f"expected artefacts in {moved}/mlartifacts, got {tmp_path}/mlartifacts" in line
        assert "Remove mlflow.db and mlartifacts/ from it, and `make track`" in line
        assert list(tmp_path.iterdir()) == [moved]
    # What the line says helps.
    (moved / "mlflow.db").unlink()
    shutil.rmtree(moved / "mlartifacts")
    forget_stores()
    assert track.main([]) == 0
    assert "8 runs added" in capsys.readouterr().out
    assert notes(moved) == []
    assert marked(capsys)
    assert list(tmp_path.iterdir()) == [moved]


# What cannot be mirrored now is noted


def finished_cells() -> list[StoredCell]:
    return [cells.read(path.parent) for path in sorted(places.CELLS.rglob("metrics.json"))]


def notes(folder: Path) -> list[Path]:
    local = Store.at(f"sqlite:///{folder / 'mlflow.db'}", "specnorm")
    return marks.waiting(folder / ".cache/mlflow", local)


def copied(workspace: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace as an experiment's copy, where this process goes on, with another picture."""
    copy = workspace / ".dvc/tmp" / name
    shutil.copytree(workspace / "data", copy / "data")
    shutil.copy(workspace / "params.yaml", copy)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.setenv("DVC_EXP_NAME", name)
    write_results(places.COMPARISON, finished_cells(), decided="global", width=0.0625)
    return copy


def back(workspace: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.delenv("DVC_ROOT")
    monkeypatch.delenv("DVC_EXP_NAME")
    shutil.rmtree(copy)


@pytest.mark.case("V1", "V2")
def test_who_gets_no_turn_leaves_a_note_that_the_next_run_acts_on(
    migrated: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An experiment in a temporary copy, which is gone by then; the workspace's own results were there before."""
    assert not marked(capsys)
    monkeypatch.setattr("specnorm.tracking.mirror._WAIT_SECONDS", 0.1)
    copy = copied(migrated, "puffy-shoe", monkeypatch)
    with files.exclusive(migrated / ".cache/mlflow/mlflow.lock"):
        assert track.main(["--unless-marked"]) == 0
    said = capsys.readouterr()
    assert "Waiting for another process that writes to MLflow" in said.out
    assert "warning: results not mirrored into MLflow" in said.err
    assert "lock held by process" in said.err
    assert len(notes(migrated)) == 1
    back(migrated, copy, monkeypatch)
    assert not marked(capsys)
    assert notes(migrated) == []
    store = of_folder(migrated)
    assert [run.data.tags["dvc.experiments"] for run in runs(store)] == ["workspace,puffy-shoe"] * 8
    assert widths(store) == {0.125}  # what is shown is the workspace's, whose run this was
    assert {run.info.status for run in runs(store)} == {"FINISHED"}
    versions = client_of(store).search_model_versions("name = 'specnorm-esc50-classifier'")
    assert {version.tags["norm"] for version in versions} == {"none", "global"}
    assert champion(migrated).tags["norm"] == "none"
    assert marked(capsys)


@pytest.mark.case("V1")
def test_notes_outlast_a_store_that_stays_away(
    migrated: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = (migrated / "mlflow.db").read_bytes()
    (migrated / "mlflow.db").write_bytes(b"this is no database" * 500)
    for _ in range(2):
        assert track.main(["--unless-marked"]) == 0
        assert len(notes(migrated)) == 1
    write_results(places.COMPARISON, finished_cells(), decided="global", width=0.0625)  # the old one is no more
    assert track.main(["--unless-marked"]) == 0
    assert len(notes(migrated)) == 2
    (migrated / "mlflow.db").write_bytes(database)
    capsys.readouterr()
    assert not marked(capsys)
    assert len(runs(of_folder(migrated))) == 8
    assert widths(of_folder(migrated)) == {0.0625}
    assert champion(migrated).tags["norm"] == "global"
    assert notes(migrated) == []


@pytest.mark.filterwarnings("always:a note of an earlier run's results:UserWarning")
def test_a_damaged_note_costs_a_warning_and_no_results(
    migrated: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("specnorm.tracking.mirror._WAIT_SECONDS", 0.1)
    copy = copied(migrated, "puffy-shoe", monkeypatch)
    with files.exclusive(migrated / ".cache/mlflow/mlflow.lock"):
        assert track.main([]) == 0
    back(migrated, copy, monkeypatch)
    (note,) = notes(migrated)
    (note / "cells/none/fold-1/seed-0/history.csv").unlink()
    capsys.readouterr()
    assert track.main(["--unless-marked"]) == 0
    said = capsys.readouterr()
    assert "8 runs added" in said.out
    (line,) = said.err.splitlines()
    assert line.startswith("warning: a note of an earlier run's results is dropped: missing file in ")
    assert line.endswith("cells/none/fold-1/seed-0/history.csv")
    assert notes(migrated) == []
    assert marked(capsys)


def test_a_note_that_cannot_be_written_is_said_and_leaves_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    corrupt(workspace)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("specnorm.tracking.notes.os.link", full)
    monkeypatch.setattr("specnorm.tracking.notes.shutil.copyfile", full)
    assert track.main([]) == 0
    error = capsys.readouterr().err
    assert "file is not a database; and no note of it: cannot leave a note" in error
    assert "No space left on device" in error
    assert [path for path in (workspace / ".cache/mlflow/notes").rglob("*") if path.is_file()] == []


SIX = """
import os
import sys
from pathlib import Path

from pipeline import finished
from specnorm.tracking import mirror  # which imports MLflow, once for all six
from specnorm.training import cells
from stages import track

finished.cells = lambda _: [cells.read(Path("data/cells/none/fold-1/seed-0"))]  # which is of no parameters
mirror._WAIT_SECONDS = 2.0  # enough for some of them, on most machines
children = []
for copy in sorted(Path("copies").iterdir()):
    child = os.fork()
    if child == 0:
        os.chdir(copy)
        os.environ["DVC_EXP_NAME"] = copy.name
        code = track.main([])
        sys.stdout.flush()
        os._exit(code)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.case("V2")
def test_of_six_writers_on_a_fresh_store_none_is_lost(
    workspace: Path, shards: Shards, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_cell(values: dict[str, Any]) -> None:
        two_modes(values)
        del values["norm"]["global"]  # one mode registers no model
        values["protocol"]["folds"] = [1]

    for right in range(6):
        copy = workspace / f"copies/shoe-{right}"
        shutil.copytree(workspace / "data/statistics", copy / "data/statistics")
        shutil.copytree(workspace / "data/normalizers", copy / "data/normalizers")
        cell = made_up.write_cell(copy / "data/cells", shards, "none", 1, right=right)
        write_results(copy / "data/comparison", [cell], state="not compared")
        made_up.write_params(copy / "params.yaml", one_cell)
    env = os.environ | {"DVC_ROOT": str(workspace), "PYTHONPATH": str(made_up.ROOT)}
    done = subprocess.run([sys.executable, "-c", SIX], cwd=workspace, env=env, check=False, timeout=300)
    assert done.returncode == 0
    made_up.write_params(workspace / "copies/shoe-0/params.yaml", one_cell)
    monkeypatch.chdir(workspace / "copies/shoe-0")
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.setattr(finished, "cells", lambda _: [cells.read(Path("data/cells/none/fold-1/seed-0"))])
    assert not marked(capsys) or notes(workspace) == []
    names = sorted(run.data.tags["dvc.experiment"] for run in of_kind(of_folder(workspace), "cell"))
    assert names == [f"shoe-{right}" for right in range(6)]


# Where and what the stage writes


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


@pytest.mark.case("X3")
def test_nothing_tells_a_secret_or_where_home_is(
    workspace: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not what MLflow holds, nor what the stage prints, be it well or not."""

    def at_home(values: dict[str, Any]) -> None:
        two_modes(values)
        values["dataset"]["source"] = f"{workspace}/esc.zip"

    monkeypatch.setenv("HOME", str(workspace))
    for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "secret")
    made_up.write_params(workspace / "params.yaml", at_home)
    (workspace / "mlflow.db").write_bytes(database.read_bytes())
    assert track.main([]) == 0
    assert track.main([]) == 0
    store = of_folder(workspace)
    client = client_of(store)
    told = [repr((run.data, run.inputs)) for run in runs(store)]
    told.append(repr(client.get_experiment_by_name("specnorm").tags))
    told.append(repr([(version.tags, version.description) for version in client.search_model_versions()]))
    written = [path for path in (workspace / "mlartifacts").rglob("*") if path.is_file()]
    assert {"MLmodel", "report.html", "fold-1.json"} <= {path.name for path in written}
    told += [path.read_bytes().decode("latin-1") for path in written]
    write_results(places.COMPARISON, finished_cells(), width=0.0625)
    corrupt(workspace)
    assert track.main([]) == 0
    said = capfd.readouterr()
    assert "in sqlite:///~/mlflow.db: " in said.err
    for text in [*told, *said, caplog.text]:
        assert "secret" not in text
        assert str(workspace) not in text


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
    assert "warning: a model not registered in MLflow: the model cannot be exported" in said.err
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
    assert (track._commit(), track._user()) == ("unknown", "unknown")


def test_the_stages_module_alone_imports_no_mlflow() -> None:
    """Its switches are environment variables that MLflow reads when it is imported: they must be set before."""
    code = "import stages.track, sys; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=made_up.ROOT, check=True)
