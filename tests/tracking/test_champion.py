"""Models in MLflow's registry predict what their cells predicted, are there once, and the champion was decided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml

from specnorm.classifier import module
from specnorm.tracking.finished import Finished
from specnorm.tracking.place import Store
from specnorm.training.cells import StoredCell
from tests import made_up
from tests.classifier.test_module import MEL, MODES, RATE, Trained, train_cell
from tests.tracking.mirrored import TAGS, write_results

if TYPE_CHECKING:
    from specnorm.tracking.champion import Registered

pytestmark = [
    # MLflow 3.17 uses what SQLAlchemy 2.1 deprecates, and has a type hint that it warns of.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType"),
    # torch reads the saved tensors from memory that it then says must not be written to.
    pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning"),
]


@dataclass(frozen=True)
class Project:
    """Two modes with a trained cell each, and an MLflow store."""

    store: Store
    client: Any
    trained: dict[str, Trained]
    folder: Path
    loads: list[str]  # the modes whose classifiers were built

    @property
    def cells(self) -> list[StoredCell]:
        return [each.cell for each in self.trained.values()]

    @property
    def params(self) -> dict[str, Any]:
        values: dict[str, Any] = yaml.safe_load((made_up.ROOT / "params.yaml").read_text(encoding="utf-8"))
        values["norm"] = {name: values["norm"][name] for name in self.trained}
        return values

    def load(self, cell: StoredCell) -> module.Classifier:
        norm = cell.key.norm
        self.loads.append(norm)
        return self.trained[norm].load()

    def register(self, recommended: str, *, models: str = "recommended", **changes: Any) -> Registered | None:
        """Sync the comparison and register what is to be; ``changes`` are to what :func:`write_results` makes."""
        from specnorm.tracking import champion, runs

        used = changes.pop("cells", self.cells)
        compared = write_results(self.folder / "comparison", used, decided=recommended, **changes)
        params = self.params
        params["tracking"]["models"] = models
        finished = Finished(compared, used, params, TAGS, lambda _: {})
        runs.sync(self.store, finished)
        return champion.register(self.store, finished)

    @property
    def name(self) -> str:
        return f"{self.store.experiment}-esc50-classifier"

    @property
    def versions(self) -> list[Any]:
        return sorted(self.client.search_model_versions(f"name = '{self.name}'"), key=lambda each: int(each.version))

    @property
    def champion(self) -> Any:
        return self.client.get_model_version_by_alias(self.name, "champion")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    folder = tmp_path_factory.mktemp("cells")
    return {norm: train_cell(folder / norm, MEL, MODES[norm], norm=norm) for norm in ("none", "global")}


@pytest.fixture
def project(
    database: Path,
    trained: dict[str, Trained],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    from mlflow.tracking import MlflowClient

    store = Store(f"sqlite:///{database}", database.parent / "mlartifacts", request.node.name)
    client = MlflowClient(store.uri)
    monkeypatch.chdir(tmp_path)  # MLflow must leave nothing here
    made = Project(store, client, trained, tmp_path, [])
    monkeypatch.setattr(Finished, "classifier", lambda _, cell: made.load(cell))
    return made


def test_the_champion_predicts_what_its_cell_did(
    project: Project, trained: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.pyfunc

    registered = project.register("global")
    assert registered is not None
    assert (registered.name, registered.champion) == (project.name, "global")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store.uri)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # a GPU must not be what it is loaded on
    model = mlflow.pyfunc.load_model(f"models:/{project.name}@champion")
    waveforms, expected = trained["global"].waveforms.numpy(), trained["global"].cell.probabilities
    for clips in (1, 2, len(expected)):
        found = model.predict(waveforms[:clips])
        assert found.dtype == np.float32
        print(f"{clips} clips: {np.abs(found - expected[:clips]).max():.2e}")
        np.testing.assert_allclose(found, expected[:clips], rtol=0, atol=1e-5)
    with pytest.raises(mlflow.exceptions.MlflowException, match="shape"):
        model.predict(waveforms[:, :-1])
    assert [path.name for path in project.folder.iterdir()] == ["comparison"]


def test_the_version_says_what_it_is_and_the_runs_name_it(project: Project) -> None:
    from mlflow.models import Model

    project.register("global")
    version = project.champion
    assert version.tags["norm"] == "global"
    assert (version.tags["fold"], version.tags["seed"]) == ("1", "0")
    assert json.loads(version.tags["classes"]) == list(made_up.CLASSES)
    assert version.description.startswith("Normalisation mode **global**, the recommended one of: Recipe default")
    assert "fold 1 held out" in version.description
    assert "first in the protocol, not the one with the best accuracy" in version.description
    place = Path(version.source.removeprefix("file://").replace("%20", " "))
    model = Model.load(place)
    assert model.metadata["classes"] == list(made_up.CLASSES)
    assert model.metadata["sample_rate"] == RATE
    (given,), (returned,) = model.signature.inputs.inputs, model.signature.outputs.inputs
    assert (given.type, given.shape) == (np.dtype("float32"), (-1, MEL.samples))
    assert (returned.type, returned.shape) == (np.dtype("float32"), (-1, 3))
    assert (place / "data/model.pt2").is_file()
    assert "specnorm" not in (place / "requirements.txt").read_text()
    experiment = project.client.get_experiment_by_name(project.store.experiment)
    runs = project.client.search_runs([experiment.experiment_id])
    outputs = {run.info.run_name: [each.model_id for each in run.outputs.model_outputs] for run in runs if run.outputs}
    assert set(filter(outputs.get, outputs)) == {"global", "global fold 1 seed 0"}
    (run,) = (run for run in runs if run.info.run_name == "global fold 1 seed 0")
    assert project.champion.run_id == run.info.run_id


def test_a_model_is_registered_once_and_the_alias_follows_the_recommendation(project: Project) -> None:
    project.register("global")
    project.register("global")
    assert [version.version for version in project.versions] == [project.champion.version]
    project.register("none")
    assert [version.tags["norm"] for version in project.versions] == ["global", "none"]
    assert project.champion.tags["norm"] == "none"
    project.register("global")
    assert len(project.versions) == 2
    assert project.champion.tags["norm"] == "global"
    assert project.loads == ["global", "none"]


def test_what_is_not_decided_registers_nothing_and_leaves_the_champion(project: Project) -> None:
    for state in ("undecided", "nothing learned"):
        assert project.register("none", state=state) is None
        assert project.versions == []
    project.register("global")
    for state in ("undecided", "nothing learned"):
        assert project.register("none", state=state) is None
        assert project.champion.tags["norm"] == "global"
        assert len(project.versions) == 1


def test_one_mode_alone_takes_the_title_from_nobody(project: Project, trained: dict[str, Trained]) -> None:
    project.register("global")
    assert project.register("none", state="not compared", cells=[trained["none"].cell]) is None
    assert project.champion.tags["norm"] == "global"


def test_every_modes_model_is_registered_where_that_is_asked_for(project: Project) -> None:
    registered = project.register("global", models="all", state="undecided")
    assert registered is not None
    assert registered.champion is None
    found = {version.tags["norm"]: version for version in project.versions}
    assert registered.versions == {norm: str(version.version) for norm, version in found.items()}
    assert list(found) == ["none", "global"]
    assert project.client.get_registered_model(project.name).aliases == {}
    assert "**global**, one of: " in found["global"].description
    # Once it is decided the same version gets the title, and says so.
    registered = project.register("global", models="all", width=0.25)
    assert registered is not None
    assert registered.champion == "global"
    assert project.champion.version == found["global"].version
    assert "**global**, the recommended one of: " in project.champion.description
    assert len(project.versions) == 2
    # A mode's run and its first cell's name the model, once.
    experiment = [project.client.get_experiment_by_name(project.store.experiment).experiment_id]
    outputs = {
        run.info.run_name: [each.model_id for each in run.outputs.model_outputs]
        for run in project.client.search_runs(experiment)
        if run.outputs and run.outputs.model_outputs
    }
    for model in project.client.search_logged_models(experiment):
        cell = project.client.get_run(model.source_run_id).info.run_name
        assert outputs.pop(cell) == outputs.pop(cell.partition(" ")[0]) == [model.model_id]
    assert outputs == {}
    assert project.register("none", models="all", state="nothing learned", width=0.0625) is None


def test_a_mode_that_cannot_be_exported_keeps_no_other_from_the_registry(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from specnorm.tracking import champion

    save = champion._save

    def saving(place: Path, model: Any, classifier: module.Classifier, metadata: dict[str, Any]) -> None:
        if metadata["norm"] == "none":
            raise champion.ExportError("the model cannot be exported")
        save(place, model, classifier, metadata)

    monkeypatch.setattr(champion, "_save", saving)
    with pytest.raises(champion.ExportError):
        project.register("global", models="all")
    assert [version.tags["norm"] for version in project.versions] == ["global"]
    assert project.champion.tags["norm"] == "global"


def test_what_a_broken_attempt_left_is_removed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    from specnorm.errors import ResourceError

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_model_artifacts", full)
        with pytest.raises(ResourceError, match="No space left"):
            project.register("global")
    assert project.versions == []
    project.register("global")
    experiment = project.client.get_experiment_by_name(project.store.experiment)
    (model,) = project.client.search_logged_models([experiment.experiment_id])
    assert str(model.status) == "READY"
    assert len(project.versions) == 1


def test_mlflows_command_predicts_from_a_file(project: Project, trained: dict[str, Trained], tmp_path: Path) -> None:
    project.register("global")
    made = trained["global"]
    (tmp_path / "clips.json").write_text(json.dumps({"inputs": made.waveforms[:3].tolist()}))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "predict",
            "--model-uri",
            f"models:/{project.name}@champion",
            "--env-manager",
            "local",
            "--input-path",
            "clips.json",
            "--output-path",
            "predictions.json",
        ],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_TRACKING_URI": project.store.uri},
        check=True,
        timeout=300,
    )
    found = json.loads((tmp_path / "predictions.json").read_text())["predictions"]
    rows = [[row[str(index)] for index in range(3)] if isinstance(row, dict) else row for row in found]
    np.testing.assert_allclose(rows, made.cell.probabilities[:3], rtol=0, atol=1e-5)
