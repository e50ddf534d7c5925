"""A view of the results in MLflow: a run a mode, a run a cell below it; the files stay their home."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from specnorm.cells import StoredCell
from specnorm.comparison import Comparison, summary_markdown
from specnorm.datasets.urls import visible_url
from specnorm.errors import ResourceError
from specnorm.files import fingerprint

_FINGERPRINT = "specnorm.fingerprint"
_PARENT = "mlflow.parentRunId"
_SQLITE = "sqlite:///"
_BUSY_SECONDS = 20.0


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

    A run is known by the fingerprint of its cells' content, so the same results are never logged twice, whatever they
    are called and wherever they were made. A run that was left half-written is deleted and written anew. A mode whose
    set of cells changed gets a new run; the old one stays, as the older result that it is.

    Args:
        params: all parameters, nested; they are logged flat, with the same keys in every run.
        tags: said of every run, such as the commit.

    Raises:
        ResourceError: the store cannot be reached or written.
    """
    try:
        _probe(store.uri)
        return _sync(store, comparison, cells, params, tags)
    except (MlflowException, SQLAlchemyError, CommandError, sqlite3.Error, OSError) as error:
        shown = store.uri if store.uri.startswith(_SQLITE) else visible_url(store.uri)
        lines = str(error).strip().replace(store.uri, shown).splitlines()  # SQLAlchemy adds the statement
        raise ResourceError("cannot use the MLflow store", where=shown, got=lines[0] if lines else error) from error


def _sync(
    store: Store, comparison: Comparison, cells: list[StoredCell], params: dict[str, Any], tags: dict[str, str]
) -> tuple[int, int]:
    client = MlflowClient(store.uri)
    experiment = _experiment(client, store)
    client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", summary_markdown(comparison))
    shared = _flat({name: value for name, value in params.items() if name not in ("norm", "protocol", "tracking")})
    own_settings = {mode: _flat({"mode": values}) for mode, values in params["norm"].items()}
    every_setting = dict.fromkeys((name for values in own_settings.values() for name in values), "")
    added = known = 0
    for row in comparison.summary.to_dict("records"):
        mode = str(row["norm"])
        own = [cell for cell in cells if cell.metrics["norm"] == mode]
        settings = shared | {"norm": mode} | every_setting | own_settings[mode]
        metrics = {f"cv/{name}": row[name] for name in ("accuracy_mean", "accuracy_sd", "f1_macro_mean")}
        parent = _Run(
            name=mode,
            fingerprint=fingerprint(["mode", mode, [_content(cell) for cell in own]]),
            params=settings | {"fold": "all", "seed": "all"},
            tags=tags | {"kind": "mode"},
            metrics=[(name, float(value), 0) for name, value in metrics.items()],
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
                if run.data.tags.get(_PARENT) != self.tags.get(_PARENT):  # its mode's run was deleted and written anew
                    client.set_tag(run.info.run_id, _PARENT, self.tags[_PARENT])
                return str(run.info.run_id), False
            client.delete_run(run.info.run_id)
        tags = self.tags | {_FINGERPRINT: self.fingerprint}
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
        client.set_terminated(run.info.run_id)  # last: a run without it is rewritten
        return str(run.info.run_id), True


def _probe(uri: str) -> None:
    """Open a SQLite store for writing: MLflow itself would try for minutes where it is locked or no database."""
    if not uri.startswith(_SQLITE):
        return
    path = Path(uri.removeprefix(_SQLITE).partition("?")[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SELECT name FROM sqlite_master").fetchall()
        connection.rollback()


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
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": _shown(value)}
    return flat


def _shown(value: Any) -> Any:
    """A parameter fit to be shared: a URL without its password, a path without the folders of this machine."""
    if isinstance(value, str) and "://" in value:
        return visible_url(value)
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
