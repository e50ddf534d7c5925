"""Mirror the results into MLflow, once each, and register models there.

Reads `data/cells/`, `data/comparison/`, `data/statistics/` and `data/normalizers/`; writes nothing but the MLflow
store: `mlflow.db` in the repository, or wherever `MLFLOW_TRACKING_URI` says. Run it with `python -m stages.track`.
"""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import command, places, stage
from specnorm.errors import ResourceError
from specnorm.params import Params
from specnorm.tracking import marks
from specnorm.tracking.place import Store
from specnorm.tracking.recorded import MovedError

if TYPE_CHECKING:
    from specnorm.training.cells import StoredCell

_AGAIN = "The results are safe in data/, and the next `dvc repro` tries again"
_MOVED = (
    "This clone was moved or copied. Remove mlflow.db and mlartifacts/ from it, and `make track` fills them anew with "
    "the results in data/"
)


def work(params: Params, parsed: argparse.Namespace) -> None:
    try:
        _mirror(params, parsed)
    except ResourceError as error:  # a warning, unless tracking is required
        hint = _MOVED if isinstance(error, MovedError) else _AGAIN
        failure = ResourceError(str(error), hint=hint)
        if params.tracking.required:
            raise failure from error
        stage.warn(failure)


def _mirror(params: Params, parsed: argparse.Namespace) -> None:
    # 1. The store, and what is known of it.
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{places.root() / 'mlflow.db'}"
    store = Store.at(uri, params.tracking.experiment)
    remembered, manifest, values = places.cache() / "mlflow", places.COMPARISON / "manifest.json", params.model_dump()
    experiment = os.environ.get("DVC_EXP_NAME", marks.WORKSPACE)
    if parsed.unless_marked and marks.holds(remembered, store, manifest, values, experiment):
        command.say(f"MLflow experiment {store.experiment}: all there before. `make track` looks again")
        return

    # 2. MLflow, after its settings: no telemetry, no minutes of retries against a dead server, no two lines a run.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    from pipeline import finished
    from specnorm.report import results
    from specnorm.tracking.finished import Finished
    from specnorm.tracking.mirror import mirror

    def sources(cell: StoredCell) -> dict[str, Path]:
        norm, fold = cell.key.norm, cell.key.fold
        return {
            "statistics": places.statistics_path(fold, params.norm[norm].waveform),
            "normalizer": places.normalizer_path(norm, fold),
        }

    # 3. The results, and what is said of every run.
    compared, stored = results.read(places.COMPARISON), finished.cells(params)
    tags = {"mlflow.source.git.commit": _commit(), "mlflow.user": _user(), "dvc.experiment": experiment}
    mirror(store, Finished(compared, stored, values, tags, sources), remembered, command.say)
    command.say("See `make ui`")


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


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unless-marked", action="store_true", help="do nothing where a mark says that MLflow holds these results"
    )


def main(argv: list[str] | None = None) -> int:
    return stage.run(work, argv, arguments=_arguments)


if __name__ == "__main__":
    sys.exit(main())
