"""A run a mode, and below it a run a cell: written once, known again by their content."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from pydantic import TypeAdapter

from specnorm.comparison.document import Mode, cells_digest
from specnorm.comparison.traits import Traits
from specnorm.dataset_params import DatasetParams
from specnorm.datasets import naming
from specnorm.datasets.urls import visible_url
from specnorm.errors import IntegrityError
from specnorm.files import fingerprint, sha256_file
from specnorm.report.results import FIGURES, MANIFEST, REPORT, Results
from specnorm.report.style import colours
from specnorm.report.tables import numbers, summary
from specnorm.tracking import shown
from specnorm.tracking.store import FINGERPRINT, Store, opened, runs_with
from specnorm.training.cells import StoredCell

_LAYOUT = 2  # of what a run holds: raise it with any change, so that runs of the old layout are left and logged anew

_PARENT = "mlflow.parentRunId"
_NOTE = "mlflow.note.content"
_COMPARISON = "specnorm.comparison.checked"
_EXPERIMENT, _EXPERIMENTS = "dvc.experiment", "dvc.experiments"
_DIGEST_LENGTH = 36  # the most that MLflow takes of a data set's digest
_OTHERS = ("norm", "protocol", "compare", "tracking")  # parameters that are not, or not so, a single run's
_CURVES = {"train_loss": "train/loss", "valid_loss": "valid/loss", "valid_accuracy": "valid/accuracy"}


def sync(
    store: Store,
    results: Results,
    cells: list[StoredCell],
    params: dict[str, Any],
    tags: dict[str, str],
    sources: Callable[[StoredCell], dict[str, Path]],
) -> tuple[int, int]:
    """Add to the store what it does not hold yet; returns the number of runs added and of runs there before.

    A run is known by the fingerprint of its cells' content and figures, so the same results are never logged twice,
    whatever they are called and wherever they were made. A run that was left half-written is deleted and written anew.
    A mode whose set of cells or whose figures changed gets a new run; the old one stays, as the older result that it
    is. What a mode's run says of the other modes is brought up to date without a new run; a later run of that mode
    alone leaves it as it is.

    Args:
        results: the comparison of the cells.
        cells: all of them, in the order of the protocol.
        params: all parameters, nested; they are logged flat, with the same keys in every run.
        tags: said of every run: the user, ``mlflow.source.git.commit``, ``dvc.experiment``.
        sources: the files that a cell was made from, by the artefact folder that they go to.

    Raises:
        IntegrityError: the comparison is not one of these cells.
        ResourceError: the store cannot be reached or written.
    """
    _check(results, cells)
    with opened(store) as (client, experiment):
        if len(results.verdict.modes) > 1 or _NOTE not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, _NOTE, shown.summary(results.verdict))
        added = known = 0
        for mode in results.verdict.modes:
            own = [cell for cell in cells if cell.key.norm == mode.norm]
            parent = _mode_run(mode, own, results, params, tags)
            parent_id, new = parent.ensure(client, experiment)
            _refresh(client, parent_id, results, mode.norm, own, params)
            added, known = added + new, known + (not new)
            for cell in own:
                child = _cell_run(cell, parent, parent_id, results, sources(cell))
                _, new = child.ensure(client, experiment)
                added, known = added + new, known + (not new)
    return added, known


def mode_fingerprint(mode: Mode) -> str:
    """Of a mode's run: the content of its cells, and the figures that were made of them."""
    return fingerprint(["mode", _LAYOUT, mode.norm, mode.sha256, numbers(mode)])


def cell_fingerprint(parent: str, cell: StoredCell) -> str:
    """Of a cell's run, below the mode's run with the fingerprint ``parent``."""
    return fingerprint(["cell", parent, cells_digest([cell])])


def dataset_name(params: dict[str, Any]) -> str:
    """What to call the data set, by all parameters, nested."""
    return naming.dataset_name(TypeAdapter(DatasetParams).validate_python(params["dataset"]))


@dataclass(frozen=True)
class _Run:
    name: str
    fingerprint: str
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: list[tuple[str, float, int]]  # name, value, step
    datasets: list[DatasetInput]
    artifacts: dict[str, Path] = field(default_factory=dict)  # the folder that a file goes to

    def ensure(self, client: MlflowClient, experiment: Experiment) -> tuple[str, bool]:
        """The run's id, and whether it had to be written."""
        for run in runs_with(client, experiment, self.fingerprint):
            if run.info.status == "FINISHED":
                self._revisit(client, run.info.run_id, run.data.tags)
                return str(run.info.run_id), False
            client.delete_run(run.info.run_id)
        tags = self.tags | {FINGERPRINT: self.fingerprint, _EXPERIMENTS: self.tags[_EXPERIMENT]}
        run = client.create_run(experiment.experiment_id, run_name=self.name, tags=tags)
        now = int(1000 * time.time())
        client.log_batch(
            run.info.run_id,
            metrics=[
                Metric(name, value, now + step, step)
                for name, value, step in self.metrics
                if math.isfinite(value)  # MLflow's database would turn an infinity into 1.8e308
            ],
            params=[Param(name, str(value)) for name, value in self.params.items()],
            tags=[RunTag("mlflow.source.name", "dvc repro")],
        )
        client.log_inputs(run.info.run_id, self.datasets)
        for folder, path in self.artifacts.items():
            client.log_artifact(run.info.run_id, str(path), folder)
        client.set_terminated(run.info.run_id)  # last: a run without it is rewritten
        return str(run.info.run_id), True

    def _revisit(self, client: MlflowClient, run_id: str, tags: dict[str, str]) -> None:
        """What may change around a run that is there: its mode's run, and the experiments that gave the same."""
        if tags.get(_PARENT) != self.tags.get(_PARENT):  # its mode's run was deleted and written anew
            client.set_tag(run_id, _PARENT, self.tags[_PARENT])
        seen = tags[_EXPERIMENTS].split(",")
        if self.tags[_EXPERIMENT] not in seen:
            client.set_tag(run_id, _EXPERIMENTS, ",".join([*seen, self.tags[_EXPERIMENT]]))


def _check(results: Results, cells: list[StoredCell]) -> None:
    compared = {mode.norm: mode.sha256 for mode in results.verdict.modes}
    norms = dict.fromkeys(cell.key.norm for cell in cells)
    found = {norm: cells_digest([cell for cell in cells if cell.key.norm == norm]) for norm in norms}
    if compared != found:
        raise IntegrityError("a comparison of other cells", where=results.folder, expected=found, got=compared)


def _mode_run(
    mode: Mode, cells: list[StoredCell], results: Results, params: dict[str, Any], tags: dict[str, str]
) -> _Run:
    norm = mode.norm
    scores = {f"cv/{name}": value for name, value in numbers(mode).items() if value is not None}
    histories = pd.concat([cell.history for cell in cells]).groupby("epoch", as_index=False)
    clips = results.verdict.dataset.clips
    return _Run(
        name=norm,
        fingerprint=mode_fingerprint(mode),
        params=_settings(norm, cells, results, params, tags) | {"fold": "all", "seed": "all"},
        tags=tags | {"kind": "mode", "mlflow.runColor": _colour(norm, results, params)},
        metrics=[
            *_curves(histories[list(_CURVES)].mean(skipna=False)),
            *((name, float(value), 0) for name, value in scores.items()),
        ],
        datasets=[_dataset(dataset_name(params), clips, "cross-validation", results)],
    )


def _cell_run(cell: StoredCell, parent: _Run, parent_id: str, results: Results, sources: dict[str, Path]) -> _Run:
    (whole,) = parent.datasets
    name, clips = whole.dataset.name, results.verdict.dataset.clips
    held_out = cell.metrics["clips"]
    return _Run(
        name=str(cell.key),
        fingerprint=cell_fingerprint(parent.fingerprint, cell),
        params=parent.params | _facts([cell]) | {"fold": cell.key.fold, "seed": cell.key.seed},
        tags=parent.tags | {"kind": "cell", _PARENT: parent_id},
        metrics=[
            *_curves(cell.history),
            ("test/accuracy", cell.metrics["accuracy"], 0),
            ("test/loss", cell.metrics["loss"], 0),
        ],
        datasets=[
            _dataset(f"{name}-without-fold{cell.key.fold}", clips - held_out, "training", results),
            _dataset(f"{name}-fold{cell.key.fold}", held_out, "validation", results),
        ],
        artifacts=sources,
    )


def _settings(
    norm: str, cells: list[StoredCell], results: Results, params: dict[str, Any], tags: dict[str, str]
) -> dict[str, Any]:
    """The same keys for every mode: MLflow's comparison shows what differs only where every run has the key."""
    own = {mode: _flat({"mode": values}) for mode, values in params["norm"].items()}
    every = dict.fromkeys((name for values in own.values() for name in values), "")
    return {
        **_flat({name: value for name, value in params.items() if name not in _OTHERS}),
        "norm": norm,
        **every,
        **own[norm],
        "dataset.digest": results.verdict.dataset.digest,
        "spectrogram.fingerprint": cells[0].metrics["front_end"],
        "git.commit": tags["mlflow.source.git.commit"],
        _EXPERIMENT: tags[_EXPERIMENT],
        **_facts(cells),
    }


def _facts(cells: list[StoredCell]) -> dict[str, str]:
    """How cells were run; where they differ, all that there was."""
    return {
        f"run.{name}": ", ".join(sorted({str(cell.run[name]) for cell in cells if name in cell.run}))
        for name in ("device", "device_name", "precision", "torch", "python")
    }


def _curves(history: pd.DataFrame) -> list[tuple[str, float, int]]:
    return [
        (curve, float(row[name]), int(row["epoch"]))
        for row in history.to_dict("records")
        for name, curve in _CURVES.items()
    ]


def _dataset(name: str, clips: int, context: str, results: Results) -> DatasetInput:
    dataset = Dataset(
        name=name,
        digest=results.verdict.dataset.digest[:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": "data/spectrograms"}),
        profile=json.dumps({"num_rows": clips}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


def _colour(norm: str, results: Results, params: dict[str, Any]) -> str:
    """The mode's in the report's pictures."""
    modes = {mode.norm: params["norm"][mode.norm] for mode in results.verdict.modes}
    return colours({name: Traits.of(each["kind"], each["waveform"]).family for name, each in modes.items()})[norm]


def _refresh(
    client: MlflowClient,
    run_id: str,
    results: Results,
    norm: str,
    cells: list[StoredCell],
    params: dict[str, Any],
) -> None:
    """Bring up to date what a mode's run says of the whole comparison."""
    current = fingerprint([_LAYOUT, sha256_file(results.folder / MANIFEST)])  # of the verdict and of all its files
    known = client.get_run(run_id).data.tags.get(_COMPARISON)
    # One mode alone has nothing to add to what a comparison said of it.
    if known == current or (known is not None and len(results.verdict.modes) == 1):
        return
    for name in results.files:
        if name == REPORT or name.startswith(f"{FIGURES}/"):
            client.log_artifact(run_id, str(results.folder / name), name.rpartition("/")[0] or None)
    scores = [{name: cell.metrics[name] for name in ("fold", "seed", "accuracy", "loss")} for cell in cells]
    tables = {"comparison.json": summary(results.verdict), "cells.json": pd.DataFrame(scores)}
    for name, table in tables.items():
        # As MlflowClient.log_table writes it, which would append to the table that is there.
        client.log_text(run_id, table.to_json(orient="split", index=False), name)
    logged = [{"path": name, "type": "table"} for name in tables]
    client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps(logged))
    client.set_tag(run_id, "mlflow.runColor", _colour(norm, results, params))
    client.set_tag(run_id, _NOTE, shown.note(results.verdict, norm))
    client.set_tag(run_id, _COMPARISON, current)  # last: without it all of this is done again


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": _shown(value)}
    return flat


def _shown(value: Any) -> Any:
    """A parameter fit to be shared: a URL without its password, a path without the folders of this machine."""
    if isinstance(value, str) and "://" in value:
        return visible_url(value)
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
