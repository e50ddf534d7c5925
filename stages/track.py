"""Mirror the results into MLflow, once each.

Reads `data/cells/` and `data/comparison/`; writes nothing but the MLflow store: `mlflow.db` in the repository, or
wherever `MLFLOW_TRACKING_URI` says. Run it with `python -m stages.track`.
"""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys

from specnorm import comparison, files
from specnorm.errors import ResourceError
from specnorm.params import Params
from specnorm.shards import open_shards
from stages import runner

_LOCK_SECONDS = 30.0


def work(params: Params, _: argparse.Namespace) -> None:
    stored = runner.stored_cells(params)
    compared = comparison.compare(stored, open_shards(runner.SHARDS))
    # Before MLflow is imported, which reads them: no telemetry, and no minutes of retries against a dead server.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")
    from specnorm import tracking

    root = runner.root()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
    store = tracking.Store(
        uri=uri,
        artifacts=root / "mlartifacts" if uri.startswith("sqlite:") else None,
        experiment=params.tracking.experiment,
    )
    try:
        # MLflow's first use of a fresh database fails when two processes meet in it.
        with files.exclusive(root / ".cache/locks/mlflow.lock", timeout_s=_LOCK_SECONDS):
            added, known = tracking.sync(store, compared, stored, params.model_dump(), _tags())
    except ResourceError as error:
        failure = ResourceError(
            f"results not mirrored into MLflow: {error}", hint="They are safe in data/; `make track` tries again"
        )
        if params.tracking.required:
            raise failure from error
        print(f"warning: {failure}", file=sys.stderr)
        return
    print(f"MLflow experiment {params.tracking.experiment}: {added} runs added, {known} there before. See `make ui`")


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
    return runner.run(work, argv)


if __name__ == "__main__":
    sys.exit(main())
