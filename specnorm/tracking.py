"""A view of the results in MLflow: a run a mode, a run a cell below it; the files stay their home."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from specnorm.cells import StoredCell
from specnorm.comparison import Comparison
from specnorm.files import fingerprint

_FINGERPRINT = "specnorm.fingerprint"
_PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Store:
    """Where MLflow keeps runs.

    Args:
        uri: the tracking URI.
        artifacts: folder for a local store's artefacts; ``None`` leaves it to the server.
        experiment: the experiment's name.
    """

    uri: str
    artifacts: Path | None
    experiment: str


def sync(
    store: Store, comparison: Comparison, cells: list[StoredCell], params: dict[str, Any], tags: dict[str, str]
) -> tuple[int, int]:
    """Add to the store what it does not hold yet; returns the number of runs added and of runs there before.

    A run is known by the fingerprint of its content, so the same results are never logged twice. A run that was left
    half-written is deleted and written anew.

    Args:
        params: all parameters, nested; they are logged flat, with the same keys in every run.
        tags: said of every run, such as the commit.

    Raises:
        MlflowException: the store cannot be reached or written.
    """
    client = MlflowClient(store.uri)
    experiment = _experiment(client, store)
    note = comparison.summary.to_markdown(index=False, floatfmt=".4f", missingval="")
    client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", note)
    shared = _flat({name: value for name, value in params.items() if name not in ("norm", "protocol", "tracking")})
    added = known = 0
    for row in comparison.summary.to_dict("records"):
        mode = str(row["norm"])
        own = [cell for cell in cells if cell.metrics["norm"] == mode]
        settings = shared | {"norm": mode, **_flat({"mode": params["norm"][mode]})}
        metrics = {f"cv/{name}": row[name] for name in ("accuracy_mean", "accuracy_sd", "f1_macro_mean")}
        parent = _Run(
            name=mode,
            fingerprint=fingerprint(["mode", settings, [_content(cell) for cell in own]]),
            params=settings | {"fold": "all", "seed": "all"},
            tags=tags | {"kind": "mode"},
            metrics=[(name, float(value), 0) for name, value in metrics.items() if pd.notna(value)],
        )
        parent_id, new = parent.ensure(client, experiment)
        added, known = added + new, known + (not new)
        for cell in own:
            place = {name: cell.metrics[name] for name in ("fold", "seed")}
            child = _Run(
                name=f"{mode} fold {place['fold']} seed {place['seed']}",
                fingerprint=fingerprint(["cell", parent.fingerprint, _content(cell)]),
                params=settings | place,
                tags=tags | {"kind": "cell", _PARENT: parent_id, "device": cell.run["device_name"]},
                metrics=_cell_metrics(cell),
            )
            _, new = child.ensure(client, experiment)
            added, known = added + new, known + (not new)
    return added, known


@dataclass(frozen=True)
class _Run:
    name: str
    fingerprint: str
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: list[tuple[str, float, int]]  # name, value, step

    def ensure(self, client: MlflowClient, experiment: Experiment) -> tuple[str, bool]:
        """The run's id, and whether it had to be written."""
        query = f"tags.`{_FINGERPRINT}` = '{self.fingerprint}'"
        found = client.search_runs([experiment.experiment_id], query)
        for run in found:
            if run.info.status == "FINISHED":
                return str(run.info.run_id), False
            client.delete_run(run.info.run_id)
        tags = self.tags | {_FINGERPRINT: self.fingerprint}
        run = client.create_run(experiment.experiment_id, run_name=self.name, tags=tags)
        now = int(1000 * time.time())
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(name, value, now + step, step) for name, value, step in self.metrics],
            params=[Param(name, str(value)) for name, value in self.params.items()],
            tags=[RunTag("mlflow.source.name", "dvc repro")],
        )
        client.set_terminated(run.info.run_id)  # last: a run without it is rewritten
        return str(run.info.run_id), True


def _experiment(client: MlflowClient, store: Store) -> Experiment:
    found = client.get_experiment_by_name(store.experiment)
    if found is not None:
        return found
    # Said outright: the default would be the working directory, and an experiment's is a temporary one.
    location = None if store.artifacts is None else store.artifacts.resolve().as_uri()
    tags = {"mlflow.experimentKind": "custom_model_development"}
    return client.get_experiment(client.create_experiment(store.experiment, location, tags))


def _cell_metrics(cell: StoredCell) -> list[tuple[str, float, int]]:
    names = {"train_loss": "train/loss", "valid_loss": "valid/loss", "valid_accuracy": "valid/accuracy"}
    curves = [
        (shown, float(row[name]), int(row["epoch"]))
        for row in cell.history.to_dict("records")
        for name, shown in names.items()
    ]
    return [*curves, ("test/accuracy", cell.metrics["accuracy"], 0), ("test/loss", cell.metrics["loss"], 0)]


def _content(cell: StoredCell) -> list[str]:
    return [cell.metrics["fingerprint"], fingerprint(cell.metrics), cell.history.to_csv(index=False)]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
