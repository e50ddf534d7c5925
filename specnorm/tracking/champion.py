"""Modes' models in MLflow's registry, waveforms in, probabilities out; the recommended one's alias is ``champion``."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow.entities import Experiment, LoggedModel, LoggedModelOutput, Run
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from specnorm.classifier.module import Classifier
from specnorm.comparison.document import cells_digest
from specnorm.errors import ResourceError
from specnorm.files import fingerprint
from specnorm.tracking.content import cell_fingerprint, mode_fingerprint
from specnorm.tracking.finished import Finished
from specnorm.tracking.marks import MODEL_LAYOUT
from specnorm.tracking.place import Store
from specnorm.tracking.store import FINGERPRINT, opened, runs_with
from specnorm.training.cells import StoredCell

ALIAS = "champion"

_MODEL_FILES = ("MLmodel", "data/model.pt2")  # what a version cannot do without


class ExportError(ResourceError):
    """The model is none that can be exported; a later attempt at the same one will not do better."""


@dataclass(frozen=True)
class Registered:
    """Models in the registry.

    Args:
        name: of all of them.
        versions: by the mode.
        champion: the mode whose model the alias now names; ``None`` leaves it where it was.
    """

    name: str
    versions: dict[str, str]
    champion: str | None


def register(store: Store, finished: Finished) -> Registered | None:
    """Register the recommended mode's model, or every mode's, and let the alias name the recommended one.

    A mode's model is that of its first cell in the protocol: its first fold with its first seed. The cell with the
    best held-out accuracy would be a choice by test data, and what its accuracy promises would not be kept.

    A version is made only where none of the same content is there; one that has lost its files gets them back. Where
    nothing is decided (several modes may be the best, one alone was compared with nothing) no mode is recommended, and
    the alias stays where it is. Where nothing was learned no mode's model is worth a version.

    Args:
        store: holds the runs of these results.
        finished: the results; a classifier is made only for what is missing.

    Returns:
        What is in the registry, ``None`` where nothing of these results is to be.

    Raises:
        ResourceError: the store cannot be reached or written.
        ExportError: a model is none that can be exported; the others are registered.
    """
    verdict = finished.results.verdict
    wanted = _wanted(finished)
    if not wanted:
        return None
    data = finished.dataset
    name = re.sub(r"[^\w .-]", "-", f"{store.experiment}-{data}-classifier")  # fit for a name and for a query
    versions, failures = {}, []
    with opened(store) as (client, experiment):
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, description=f"Waveforms of {data} in, class probabilities out")
        for norm in wanted:
            try:
                versions[norm] = _version(client, experiment, name, finished, norm)
            except ExportError as error:
                failures.append(error)
        champion = verdict.recommended if verdict.recommended in versions else None
        if champion and str(client.get_registered_model(name).aliases.get(ALIAS)) != versions[champion]:
            client.set_registered_model_alias(name, ALIAS, versions[champion])
    if failures:
        raise failures[0]
    return Registered(name, versions, champion)


def _wanted(finished: Finished) -> list[str]:
    """The modes whose models are to be in the registry."""
    verdict = finished.results.verdict
    if verdict.decision.state == "nothing learned":
        return []
    if finished.params["tracking"]["models"] == "all":
        return [mode.norm for mode in verdict.modes]
    return [] if verdict.recommended is None else [verdict.recommended]


def _version(client: MlflowClient, experiment: Experiment, name: str, finished: Finished, norm: str) -> str:
    """The number of the version with the mode's first cell's model, which is made where there is none."""
    verdict = finished.results.verdict
    cell, classes = finished.of_mode(norm)[0], list(verdict.dataset.classes)
    mark = fingerprint(["champion", MODEL_LAYOUT, cells_digest([cell]), classes])
    parent = mode_fingerprint(verdict.mode(norm))
    runs = [runs_with(client, experiment, each)[0] for each in (cell_fingerprint(parent, cell), parent)]
    known = client.search_model_versions(f"name = '{name}' and tags.`{FINGERPRINT}` = '{mark}'")
    if known:
        # Asked by its mark: a version read back from MLflow's database does not say which model it is of.
        for model in _marked(client, experiment, mark):
            _restore(client, model, finished, cell)
            _link(client, runs, model.model_id)
        # One mode alone has nothing to add to what a comparison said of its model.
        told = _description(cell, finished)
        if len(verdict.modes) > 1 and known[0].description != told:
            client.update_model_version(name, known[0].version, told)
        return str(known[0].version)
    classifier = finished.classifier(cell)
    model = _logged(client, experiment, runs, mark, classifier, _metadata(finished, cell, classifier))
    version = client.create_model_version(
        name,
        # The model's place and not its URI, which MLflow looks up in the process's global store.
        source=model.artifact_location,
        run_id=runs[0].info.run_id,
        tags={**asdict(cell.key), "classes": json.dumps(classes, ensure_ascii=False), FINGERPRINT: mark},
        description=_description(cell, finished),
        model_id=model.model_id,
        await_creation_for=0,  # not minutes
    )
    return str(version.version)


def _marked(client: MlflowClient, experiment: Experiment, mark: str) -> list[LoggedModel]:
    """The models with a mark; one that was deleted is none of them."""
    return list(client.search_logged_models([experiment.experiment_id], f"tags.`{FINGERPRINT}` = '{mark}'"))


def _restore(client: MlflowClient, model: LoggedModel, finished: Finished, cell: StoredCell) -> None:
    """Give a model the files back that it has lost."""
    there = {
        artifact.path
        for folder in (None, "data")
        for artifact in client.list_logged_model_artifacts(model.model_id, folder)
    }
    if not there.issuperset(_MODEL_FILES):
        classifier = finished.classifier(cell)
        _upload(client, model, classifier, _metadata(finished, cell, classifier))


def _metadata(finished: Finished, cell: StoredCell, classifier: Classifier) -> dict[str, Any]:
    classes = list(finished.results.verdict.dataset.classes)
    return {**asdict(cell.key), "classes": classes, "sample_rate": classifier.front_end.params.sample_rate}


def _logged(
    client: MlflowClient,
    experiment: Experiment,
    runs: list[Run],
    mark: str,
    classifier: Classifier,
    metadata: dict[str, Any],
) -> LoggedModel:
    """The classifier as an MLflow model, an output of ``runs``; what an interrupted attempt left is removed."""
    for left in _marked(client, experiment, mark):
        client.delete_logged_model(left.model_id)
    model = client.create_logged_model(
        experiment.experiment_id, "classifier", source_run_id=runs[0].info.run_id, tags={FINGERPRINT: mark}
    )
    _upload(client, model, classifier, metadata)
    _link(client, runs, model.model_id)
    return client.finalize_logged_model(model.model_id, "READY")


def _link(client: MlflowClient, runs: list[Run], model_id: str) -> None:
    """Let runs name the model as theirs; one that was written anew does not yet."""
    for run in runs:
        if run.outputs is None or model_id not in [output.model_id for output in run.outputs.model_outputs]:
            client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step=0)])


def _upload(client: MlflowClient, model: LoggedModel, classifier: Classifier, metadata: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "model"
        _save(place, model, classifier, metadata)
        client.log_model_artifacts(model.model_id, str(place))


def _save(place: Path, model: LoggedModel, classifier: Classifier, metadata: dict[str, Any]) -> None:
    """Write the classifier as an exported graph: no pickle, and none of this package is needed to load it."""
    single = np.dtype(np.float32)
    signature = ModelSignature(
        # Without names: of named tensors MLflow makes a mapping, which its torch models do not take.
        inputs=Schema([TensorSpec(single, (-1, classifier.samples))]),
        outputs=Schema([TensorSpec(single, (-1, len(metadata["classes"])))]),
    )
    # Without its place, which would be a path of this machine in a file that travels.
    described = Model(run_id=model.source_run_id, model_id=model.model_id, model_uuid=model.model_id)
    try:
        with warnings.catch_warnings():
            # MLflow warns of a type hint of its own.
            warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
            mlflow.pytorch.save_model(
                classifier,
                str(place),
                mlflow_model=described,
                signature=signature,
                input_example=np.zeros((2, classifier.samples), np.float32),  # two: one would make the batch a constant
                pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
                metadata=metadata,
                serialization_format="pt2",
            )
    except OSError:  # no place to write it
        raise
    except Exception as error:  # a mode's own code can make torch's export say anything
        first = str(error).strip().partition("\n")[0]
        raise ExportError("the model cannot be exported", where=f"mode {metadata['norm']}", got=first) from error
    # On a machine with a GPU MLflow would load it there, and then refuse it because it was exported on a CPU.
    described.flavors["python_function"]["config"] = {"device": "cpu"}
    described.save(str(place / "MLmodel"))


def _description(cell: StoredCell, finished: Finished) -> str:
    verdict, front_end = finished.results.verdict, finished.front_end
    key, accuracy, clips = cell.key, cell.metrics["accuracy"], cell.metrics["clips"]
    place = "the recommended one" if key.norm == verdict.recommended else "one"
    return (
        f"Normalisation mode **{key.norm}**, {place} of: {verdict.title}. {verdict.decision.sentence}.\n\n"
        f"Trained with fold {key.fold} held out, seed {key.seed}: the cell that stands first in the protocol, "
        "not the one with the best accuracy, which would be a choice by test data. "
        f"Accuracy on the {clips} clips of fold {key.fold}: {accuracy:.4f}.\n\n"
        f"Input: mono waveforms at {front_end.sample_rate} Hz, float32 `[clips, {front_end.samples}]`, full scale 1. "
        f"Output: probabilities `[clips, {len(verdict.dataset.classes)}]` in the order of the tag `classes`."
    )
