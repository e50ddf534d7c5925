"""Mirror the results into MLflow, once each, and register the recommended mode's model there.

Reads `data/cells/`, `data/comparison/`, `data/statistics/` and `data/normalizers/`; writes nothing but the MLflow
store: `mlflow.db` in the repository, or wherever `MLFLOW_TRACKING_URI` says. Run it with `python -m stages.track`.
"""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline import command, finished, places, stage
from specnorm import files
from specnorm.classifier import module
from specnorm.errors import ResourceError
from specnorm.params import Params
from specnorm.report import results
from specnorm.training.cells import StoredCell

_LOCK_SECONDS = 20.0


def work(params: Params, _: argparse.Namespace) -> None:
    compared = results.read(places.COMPARISON)
    stored = finished.cells(params)
    # Before MLflow is imported, which reads them: no telemetry, no minutes of retries against a dead server, and no two
    # lines a run.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    from specnorm import tracking

    def sources(cell: StoredCell) -> dict[str, Path]:
        norm, fold = cell.key.norm, cell.key.fold
        return {
            "statistics": places.statistics_path(fold, params.norm[norm].waveform),
            "normalizer": places.normalizer_path(norm, fold),
        }

    def load(cell: StoredCell) -> module.Classifier:
        return module.load(cell, sources(cell)["normalizer"], params.spectrogram)

    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{places.root() / 'mlflow.db'}"
    database = tracking.database(uri)
    store = tracking.Store(
        uri=uri,
        artifacts=database.parent / "mlartifacts" if database is not None else None,
        experiment=params.tracking.experiment,
    )
    values = params.model_dump()

    def runs() -> str:
        added, known = tracking.sync(store, compared, stored, values, _tags(), sources)
        return f"MLflow experiment {store.experiment}: {added} runs added, {known} there before. See `make ui`"

    def model() -> str:
        registered = tracking.register(store, compared, stored, values, load)
        return f"The recommended mode's model: {registered}" if registered else "One mode alone: no model registered"

    if _attempt("results not mirrored into MLflow", runs, required=params.tracking.required):
        _attempt("the recommended mode's model not registered in MLflow", model, required=params.tracking.required)


def _attempt(failed: str, step: Callable[[], str], *, required: bool) -> bool:
    """Take a step alone at the store; whether it succeeded. A failure is a warning, unless tracking is required."""
    try:
        # MLflow's first use of a fresh database fails when two processes meet in it.
        with files.exclusive(places.root() / ".cache/locks/mlflow.lock", timeout_s=_LOCK_SECONDS):
            command.say(step())
    except ResourceError as error:
        failure = ResourceError(f"{failed}: {error}", hint="The results are safe in data/; `make track` tries again")
        if required:
            raise failure from error
        stage.warn(failure)
        return False
    return True


def _tags() -> dict[str, str]:
    return {
        "mlflow.source.git.commit": _commit(),
        "mlflow.user": _user(),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", "workspace"),
    }


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):  # no git, or a copy without its history
        return "unknown"


def _user() -> str:
    """The login name, as MLflow's own logging says it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv)


if __name__ == "__main__":
    sys.exit(main())
