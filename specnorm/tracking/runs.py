"""A run a mode, and below it a run a cell: written once, known again by their content."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from specnorm.files import fingerprint, sha256_file
from specnorm.report.results import FIGURES, MANIFEST, REPORT
from specnorm.report.tables import summary
from specnorm.tracking import shown, view
from specnorm.tracking.content import EXPERIMENT, PARENT, Run, cell_run, colour, mode_run
from specnorm.tracking.finished import Finished
from specnorm.tracking.marks import RUN_LAYOUT
from specnorm.tracking.place import Store
from specnorm.tracking.store import FINGERPRINT, opened, runs_with

_NOTE = "mlflow.note.content"
_COMPARISON = "specnorm.comparison.checked"
_EXPERIMENTS = "dvc.experiments"


@dataclass(frozen=True)
class Synced:
    """How many runs were added, how many were there before, and to how many of those missing files were given."""

    added: int
    known: int
    mended: int


def sync(store: Store, finished: Finished) -> Synced:
    """Add to the store what it does not hold yet.

    A run is known by the fingerprint of its cells' content, so the same results are never logged twice, whatever they
    are called and wherever they were made. A run that was left half-written is deleted and written anew; a whole one
    gets the files back that it has lost. A mode whose set of cells changed gets a new run; the old one stays, as the
    older result that it is. What depends on the modes beside it, its interval among them, is brought up to date without
    a new run; a later run of that mode alone leaves it as it is.

    Raises:
        IntegrityError: the comparison is not one of these cells.
        ResourceError: the store cannot be reached or written.
    """
    finished.check()
    verdict = finished.results.verdict
    added = known = mended = 0
    with opened(store) as (client, experiment):
        if experiment.tags.get(view.TAG) != view.state():
            client.set_experiment_tag(experiment.experiment_id, view.TAG, view.state())
        if len(verdict.modes) > 1 or _NOTE not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, _NOTE, shown.summary(verdict))
        for mode in verdict.modes:
            parent = mode_run(mode, finished)
            parent_id, new = _ensure(client, experiment, parent)
            restored = _refresh(client, parent_id, parent, finished) and not new
            added, known, mended = added + new, known + (not new), mended + restored
            for cell in finished.of_mode(mode.norm):
                child = cell_run(cell, parent, parent_id, finished)
                child_id, new = _ensure(client, experiment, child)
                restored = not new and _restore(client, child_id, child)
                added, known, mended = added + new, known + (not new), mended + restored
    return Synced(added, known, mended)


def _ensure(client: MlflowClient, experiment: Experiment, wanted: Run) -> tuple[str, bool]:
    """The run's id, and whether it had to be written."""
    for run in runs_with(client, experiment, wanted.fingerprint):
        if run.info.status == "FINISHED":
            _revisit(client, run.info.run_id, run.data.tags, wanted)
            return str(run.info.run_id), False
        client.delete_run(run.info.run_id)
    tags = wanted.tags | {FINGERPRINT: wanted.fingerprint, _EXPERIMENTS: wanted.tags[EXPERIMENT]}
    began, ended = (_milliseconds(moment) for moment in (wanted.span.began, wanted.span.ended))
    run = client.create_run(experiment.experiment_id, began, tags, wanted.name)
    epochs = max(step for _, _, step in wanted.metrics)
    client.log_batch(
        run.info.run_id,
        metrics=[
            Metric(name, value, _milliseconds(wanted.span.at(step, epochs)) if step else ended, step)
            for name, value, step in wanted.metrics
            if math.isfinite(value)  # MLflow's database would turn an infinity into 1.8e308
        ],
        params=[Param(name, str(value)) for name, value in wanted.params.items()],
        tags=[RunTag("mlflow.source.name", "dvc repro")],
    )
    client.log_inputs(run.info.run_id, wanted.datasets)
    for folder, path in wanted.artifacts.items():
        client.log_artifact(run.info.run_id, str(path), folder)
    client.set_terminated(run.info.run_id, end_time=ended)  # last: a run without it is rewritten
    return str(run.info.run_id), True


def _milliseconds(moment: float) -> int:
    return int(1000 * moment)


def _revisit(client: MlflowClient, run_id: str, tags: dict[str, str], wanted: Run) -> None:
    """What may change around a run that is there: its mode's run, and the experiments that gave the same."""
    if tags.get(PARENT) != wanted.tags.get(PARENT):  # its mode's run was deleted and written anew
        client.set_tag(run_id, PARENT, wanted.tags[PARENT])
    # Whoever deletes a tag in the UI, of these or of the run's own, loses what it said and nothing else.
    seen = list(filter(None, tags.get(_EXPERIMENTS, tags.get(EXPERIMENT, "")).split(",")))
    if _EXPERIMENTS not in tags or wanted.tags[EXPERIMENT] not in seen:
        client.set_tag(run_id, _EXPERIMENTS, ",".join(dict.fromkeys([*seen, wanted.tags[EXPERIMENT]])))


def _restore(client: MlflowClient, run_id: str, wanted: Run) -> bool:
    """Give a run the files that it has lost; whether there were any."""
    places = {f"{folder}/{path.name}": (folder, path) for folder, path in wanted.artifacts.items()}
    lost = _lost(client, run_id, places)
    for folder, path in (places[name] for name in lost):
        client.log_artifact(run_id, str(path), folder)
    return bool(lost)


def _lost(client: MlflowClient, run_id: str, names: Iterable[str]) -> list[str]:
    """Which of these artefacts a run does not hold."""
    names = list(names)
    folders = {PurePosixPath(name).parent.as_posix() for name in names}
    there = {
        artifact.path
        for folder in folders
        for artifact in client.list_artifacts(run_id, None if folder == "." else folder)
    }
    return [name for name in names if name not in there]


def _refresh(client: MlflowClient, run_id: str, wanted: Run, finished: Finished) -> bool:
    """Bring up to date what a mode's run says of the whole comparison; whether only files of it had been lost."""
    results, verdict, norm = finished.results, finished.results.verdict, wanted.name
    shared = [name for name in results.files if name == REPORT or name.startswith(f"{FIGURES}/")]
    scores = [
        {name: cell.metrics[name] for name in ("fold", "seed", "accuracy", "loss")} for cell in finished.of_mode(norm)
    ]
    tables = {"comparison.json": summary(verdict), "cells.json": pd.DataFrame(scores)}
    current = fingerprint([RUN_LAYOUT, sha256_file(results.folder / MANIFEST)])  # of the verdict and of all its files
    there = client.get_run(run_id).data
    known = there.tags.get(_COMPARISON)
    # One mode alone has nothing to add to what a comparison said of it.
    if known is not None and known != current and len(verdict.modes) == 1:
        return False
    missing = [*shared, *tables] if known != current else _lost(client, run_id, [*shared, *tables])
    if not missing:
        return False
    _score(client, run_id, wanted, there.metrics)
    for name in shared:
        if name in missing:
            client.log_artifact(run_id, str(results.folder / name), name.rpartition("/")[0] or None)
    for name, table in tables.items():
        if name in missing:
            # As MlflowClient.log_table writes it, which would append to the table that is there.
            client.log_text(run_id, table.to_json(orient="split", index=False), name)
    logged = [{"path": name, "type": "table"} for name in tables]
    client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps(logged))
    client.set_tag(run_id, "mlflow.runColor", colour(norm, finished))
    client.set_tag(run_id, _NOTE, shown.note(verdict, norm))
    client.set_tag(run_id, _COMPARISON, current)  # last: without it all of this is done again
    return known == current


def _score(client: MlflowClient, run_id: str, wanted: Run, there: dict[str, float]) -> None:
    """Log the scores that a run has otherwise. MLflow shows the latest by its time, so each is later than its last."""
    for name, value, step in wanted.metrics:
        if step or not math.isfinite(value) or there.get(name) == value:
            continue
        last = max((metric.timestamp for metric in client.get_metric_history(run_id, name)), default=0)
        client.log_metric(run_id, name, value, max(_milliseconds(time.time()), last + 1), step)
