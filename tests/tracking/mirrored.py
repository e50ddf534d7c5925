"""Results to mirror, made up, and what MLflow holds of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from specnorm.audio.front_end import FrontEnd
from specnorm.classifier.module import Classifier
from specnorm.comparison.document import cells_digest
from specnorm.report import results
from specnorm.report.results import Results
from specnorm.training.cells import StoredCell
from tests import builders, made_up

MODES = ("none", "global")
TAGS = {"mlflow.source.git.commit": "0123abc", "mlflow.user": "me", "dvc.experiment": "workspace"}
SOURCES = ("statistics", "normalizer")


def write_results(
    folder: Path,
    cells: list[StoredCell],
    *,
    decided: str | None = None,
    state: str = "decided",
    figure: str = "a picture",
    width: float = 0.125,
    caveat: str | None = None,
) -> Results:
    """A comparison of cells with made-up intervals."""
    modes = {}
    for mode in dict.fromkeys(cell.metrics["norm"] for cell in cells):
        own = [cell for cell in cells if cell.metrics["norm"] == mode]
        accuracies = [cell.metrics["accuracy"] for cell in own]
        mean, deviation = float(np.mean(accuracies)), float(np.std(accuracies, ddof=1)) if accuracies[1:] else None
        estimate = {"mean": mean, "low": mean - width, "high": mean + width, "deviation": deviation}
        figures = dict.fromkeys(made_up.METRICS, estimate)
        modes[mode] = {"cells": len(own), "sha256": cells_digest(own), **figures}
    verdict = made_up.document(modes, decided=decided, state=state, caveat=caveat)
    texts = {"verdict.json": verdict.to_json(), "report.html": "<p>the report</p>", "figures/modes.svg": figure}
    results.write(folder, {name: text.encode() for name, text in texts.items()})
    return results.read(folder)


def tiny_classifier() -> Classifier:
    """Fit for the made-up cells, which have no network: three classes by the mean level."""
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, len(made_up.CLASSES)))
    return Classifier(FrontEnd(builders.front_end_params()), "raw", nn.Identity(), network).eval()


def client_of(store: Any) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(store.uri)


def artifact(store: Any, run: Any, name: str) -> str:
    return (store.artifacts / run.info.run_id / "artifacts" / name).read_text()


def runs(store: Any) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(store.uri)
    return list(client.search_runs([client.get_experiment_by_name(store.experiment).experiment_id]))


def of_kind(store: Any, kind: str) -> list[Any]:
    return [run for run in runs(store) if run.data.tags["kind"] == kind]


def widths(store: Any) -> set[float]:
    """Of the modes' intervals, upwards."""
    modes = [run.data.metrics for run in of_kind(store, "mode")]
    return {round(mode["cv/accuracy_mean_to"] - mode["cv/accuracy_mean"], 5) for mode in modes}


def two_modes(values: dict[str, Any]) -> None:
    """A change to the parameters."""
    values["norm"] = {name: values["norm"][name] for name in MODES}
