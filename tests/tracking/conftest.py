"""One MLflow store for all tests of a process, and made-up results to bring there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import finished as pipeline_finished
from pipeline import places
from specnorm.report.results import Results
from specnorm.shards.store import Shards
from specnorm.tracking.finished import Finished
from specnorm.tracking.place import Store
from specnorm.training.cells import StoredCell
from tests import made_up
from tests.tracking.mirrored import MODES, SOURCES, TAGS, tiny_classifier, two_modes, write_results

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported, by a fixture below


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated store for all tests: each takes its own experiment in it."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("mlflow store") / "mlflow.db"  # a blank in the path, on purpose
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(database: Path, request: pytest.FixtureRequest) -> Store:
    return Store(f"sqlite:///{database}", database.parent / "mlartifacts", request.node.name)


@pytest.fixture
def params() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((made_up.ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["norm"] = {name: values["norm"][name] for name in MODES}
    return values


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return made_up.write_shards(tmp_path / "data/spectrograms")


@pytest.fixture
def stored(tmp_path: Path, shards: Shards) -> list[StoredCell]:
    return made_up.write_cells(tmp_path / "data/cells", shards, MODES)


@pytest.fixture
def sources(tmp_path: Path) -> Callable[[StoredCell], dict[str, Path]]:
    def call(cell: StoredCell) -> dict[str, Path]:
        norm, fold = cell.metrics["norm"], cell.metrics["fold"]
        found = {name: tmp_path / name / norm / f"fold-{fold}.json" for name in SOURCES}
        for name, path in found.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {norm} {fold}")
        return found

    return call


@pytest.fixture
def finished(params: dict[str, Any], sources: Any, tmp_path: Path) -> Callable[..., Finished]:
    """Cells as they are, with a comparison of just them; ``tags`` override the usual ones."""

    def call(cells: list[StoredCell], compared: Results | None = None, **tags: str) -> Finished:
        return Finished(
            compared or write_results(tmp_path / "data/comparison", cells), cells, params, TAGS | tags, sources
        )

    return call


@pytest.fixture
def sync(store: Store, finished: Callable[..., Finished]) -> Callable[..., tuple[int, int]]:
    """Sync :func:`finished`: how many runs were added, and how many were there before."""

    def call(cells: list[StoredCell], compared: Results | None = None, **tags: str) -> tuple[int, int]:
        from specnorm.tracking import runs

        found = runs.sync(store, finished(cells, compared, **tags))
        return found.added, found.known

    return call


@pytest.fixture
def workspace(tmp_path: Path, stored: list[StoredCell], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two modes of three folds, finished, and nothing in MLflow."""
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    # The stage sets these for its process; here they must not outlive the test. No retries: they only take time.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    made_up.write_params(tmp_path / "params.yaml", two_modes)
    monkeypatch.setattr(pipeline_finished, "cells", lambda _: stored)  # which are of no parameters
    write_results(places.COMPARISON, stored)
    for cell in stored:
        norm, fold = cell.metrics["norm"], cell.metrics["fold"]
        variant = "raw" if norm == "none" else "standardized"
        for path in (places.STATISTICS / f"fold-{fold}/{variant}.json", places.normalizer_path(norm, fold)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("numbers")
    monkeypatch.setattr("specnorm.classifier.module.load", lambda *_: tiny_classifier())
    return tmp_path
