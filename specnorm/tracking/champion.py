"""The recommended mode's model in MLflow's registry: waveforms in, probabilities out, under the alias ``champion``."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
import torch
from mlflow.entities import Experiment, LoggedModel, LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from specnorm.classifier.module import Classifier
from specnorm.comparison.document import Document, cells_digest
from specnorm.errors import ResourceError
from specnorm.files import fingerprint
from specnorm.report.results import Results
from specnorm.tracking.runs import cell_fingerprint, dataset_name, mode_fingerprint
from specnorm.tracking.store import FINGERPRINT, Store, opened, runs_with
from specnorm.training.cells import StoredCell

ALIAS = "champion"
_LAYOUT = 1  # of what a version holds: raise it with any change, so that a new version is made


def register(
    store: Store,
    results: Results,
    cells: list[StoredCell],
    params: dict[str, Any],
    load: Callable[[StoredCell], Classifier],
) -> str | None:
    """Register the recommended mode's model, and let the alias name it; returns its URI.

    The model is that of the mode's first cell in the protocol: its first fold with its first seed. The cell with the
    best held-out accuracy would be a choice by test data, and what its accuracy promises would not be kept.

    A version is made only where none of the same content is there. One mode alone was compared with nothing: then
    nothing is registered, the alias stays where it is, and the result is ``None``.

    Args:
        results: the comparison.
        cells: all of its cells, in the order of the protocol, whose runs the store holds.
        params: all parameters, nested.
        load: makes a cell's classifier; called only for a new version.

    Raises:
        ResourceError: the store cannot be reached or written, or the model is none that can be exported.
    """
    if len(results.verdict.modes) == 1:
        return None
    own = [cell for cell in cells if cell.key.norm == results.verdict.recommended]
    data = dataset_name(params)
    name = re.sub(r"[^\w .-]", "-", f"{store.experiment}-{data}-classifier")  # fit for a name and for a query
    with opened(store) as (client, experiment):
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, description=f"Waveforms of {data} in, class probabilities out")
        version = _version(client, experiment, name, own, results.verdict, load)
        if str(client.get_registered_model(name).aliases.get(ALIAS)) != version:
            client.set_registered_model_alias(name, ALIAS, version)
    return f"models:/{name}@{ALIAS}"


def _version(
    client: MlflowClient,
    experiment: Experiment,
    name: str,
    cells: list[StoredCell],
    verdict: Document,
    load: Callable[[StoredCell], Classifier],
) -> str:
    """The number of the version with the first cell's model, which is made where there is none."""
    cell, classes = cells[0], list(verdict.dataset.classes)
    mark = fingerprint(["champion", _LAYOUT, cells_digest([cell]), classes])
    known = client.search_model_versions(f"name = '{name}' and tags.`{FINGERPRINT}` = '{mark}'")
    if known:
        return str(known[0].version)
    classifier = load(cell)
    facts = asdict(cell.key)
    parent = mode_fingerprint(verdict.mode(cell.key.norm))
    runs = [runs_with(client, experiment, each)[0].info.run_id for each in (cell_fingerprint(parent, cell), parent)]
    metadata = {**facts, "classes": classes, "sample_rate": classifier.front_end.params.sample_rate}
    model = _logged(client, experiment, runs, mark, classifier, metadata)
    version = client.create_model_version(
        name,
        # The model's place and not its URI, which MLflow looks up in the process's global store.
        source=model.artifact_location,
        run_id=runs[0],
        tags={**facts, "classes": json.dumps(classes, ensure_ascii=False), FINGERPRINT: mark},
        description=_description(cell, classifier, verdict),
        model_id=model.model_id,
        await_creation_for=0,  # not minutes
    )
    return str(version.version)


def _logged(
    client: MlflowClient,
    experiment: Experiment,
    runs: list[str],
    mark: str,
    classifier: Classifier,
    metadata: dict[str, Any],
) -> LoggedModel:
    """The classifier as an MLflow model, an output of ``runs``; what an interrupted attempt left is removed."""
    for left in client.search_logged_models([experiment.experiment_id], f"tags.`{FINGERPRINT}` = '{mark}'"):
        client.delete_logged_model(left.model_id)
    with tempfile.TemporaryDirectory() as folder:
        model = client.create_logged_model(
            experiment.experiment_id, "classifier", source_run_id=runs[0], tags={FINGERPRINT: mark}
        )
        place = Path(folder) / "model"
        _save(place, model, runs[0], classifier, metadata)
        client.log_model_artifacts(model.model_id, str(place))
    for run_id in runs:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return client.finalize_logged_model(model.model_id, "READY")


def _save(place: Path, model: LoggedModel, run_id: str, classifier: Classifier, metadata: dict[str, Any]) -> None:
    """Write the classifier as an exported graph: no pickle, and none of this package is needed to load it."""
    single = np.dtype(np.float32)
    signature = ModelSignature(
        # Without names: of named tensors MLflow makes a mapping, which its torch models do not take.
        inputs=Schema([TensorSpec(single, (-1, classifier.samples))]),
        outputs=Schema([TensorSpec(single, (-1, len(metadata["classes"])))]),
    )
    described = Model(
        artifact_path=model.artifact_location, run_id=run_id, model_id=model.model_id, model_uuid=model.model_id
    )
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
    except Exception as error:  # a mode's own code can make torch's export say anything
        first = str(error).strip().partition("\n")[0]
        raise ResourceError("the model cannot be exported", where=f"mode {metadata['norm']}", got=first) from error
    # On a machine with a GPU MLflow would load it there, and then refuse it because it was exported on a CPU.
    described.flavors["python_function"]["config"] = {"device": "cpu"}
    described.save(str(place / "MLmodel"))


def _description(cell: StoredCell, classifier: Classifier, verdict: Document) -> str:
    front_end = classifier.front_end.params
    key, accuracy, clips = cell.key, cell.metrics["accuracy"], cell.metrics["clips"]
    return (
        f"Normalisation mode **{key.norm}**, the recommended one of: {verdict.title}. {verdict.recommendation}.\n\n"
        f"Trained with fold {key.fold} held out, seed {key.seed}: the cell that stands first in the protocol, "
        "not the one with the best accuracy, which would be a choice by test data. "
        f"Accuracy on the {clips} clips of fold {key.fold}: {accuracy:.4f}.\n\n"
        f"Input: mono waveforms at {front_end.sample_rate} Hz, float32 `[clips, {front_end.samples}]`, full scale 1. "
        f"Output: probabilities `[clips, {len(verdict.dataset.classes)}]` in the order of the tag `classes`."
    )
