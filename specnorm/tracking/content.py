"""What a run says: its parameters, tags, numbers, data sets and files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag

from specnorm.comparison.document import Mode, cells_digest
from specnorm.comparison.traits import Traits
from specnorm.datasets.urls import visible_url
from specnorm.files import fingerprint
from specnorm.params import NormParams
from specnorm.report.style import colours
from specnorm.report.tables import numbers
from specnorm.tracking import spans
from specnorm.tracking.finished import Finished
from specnorm.tracking.marks import RUN_LAYOUT
from specnorm.tracking.spans import Span
from specnorm.training.cells import StoredCell

PARENT = "mlflow.parentRunId"
EXPERIMENT = "dvc.experiment"

_DIGITS = 6  # of a mode's scores: MLflow's lists show every one that there is
_DIGEST_LENGTH = 36  # the most that MLflow takes of a data set's digest
_OTHERS = ("norm", "protocol", "compare", "tracking")  # parameters that are not, or not so, a single run's

CURVES = {"train_loss": "train/loss", "valid_loss": "valid/loss", "valid_accuracy": "valid/accuracy"}
# MLflow lists what it compares by name, so the accuracy's interval is named for standing behind it. Of the other
# figures the means are here; their intervals are in the tables and on the page, or each would be a chart of one bar.
ACCURACY, ACCURACY_FROM, ACCURACY_TO = "cv/accuracy_mean", "cv/accuracy_mean_from", "cv/accuracy_mean_to"
SCORES = {
    ACCURACY: "accuracy_mean",
    ACCURACY_FROM: "accuracy_low",
    ACCURACY_TO: "accuracy_high",
    "cv/calibration_error_mean": "calibration_error_mean",
    "cv/f1_macro_mean": "f1_macro_mean",
    "cv/log_loss_mean": "log_loss_mean",
}
TEST = {"accuracy": "test/accuracy", "loss": "test/loss"}  # a cell's


@dataclass(frozen=True)
class Run:
    """A run that is to be in the store."""

    name: str
    fingerprint: str
    span: Span
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: list[tuple[str, float, int]]  # name, value, step; MLflow shows them in this order, and draws the first
    datasets: list[DatasetInput]
    artifacts: dict[str, Path] = field(default_factory=dict)  # the folder that a file goes to


def mode_run(mode: Mode, finished: Finished) -> Run:
    """A mode's: what is the same in its cells, and the means of the rest."""
    norm, cells = mode.norm, finished.of_mode(mode.norm)
    found = numbers(mode)
    scores = {shown: found[name] for shown, name in SCORES.items()}
    histories = pd.concat([cell.history for cell in cells]).groupby("epoch", as_index=False)
    clips = finished.results.verdict.dataset.clips
    return Run(
        name=norm,
        fingerprint=mode_fingerprint(mode),
        span=spans.of_cells(cells),
        params=_settings(norm, cells, finished) | {"fold": "all", "seed": "all"},
        tags=finished.tags | {"kind": "mode", "mlflow.runColor": colour(norm, finished)},
        metrics=[
            *((name, round(float(value), _DIGITS), 0) for name, value in scores.items() if value is not None),
            *_curves(histories[list(CURVES)].mean(skipna=False)),
        ],
        datasets=[_dataset(finished.dataset, clips, "cross-validation", finished)],
    )


def cell_run(cell: StoredCell, parent: Run, parent_id: str, finished: Finished) -> Run:
    """A cell's, below its mode's run."""
    (whole,) = parent.datasets
    name, clips = whole.dataset.name, finished.results.verdict.dataset.clips
    held_out = cell.metrics["clips"]
    return Run(
        name=str(cell.key),
        fingerprint=cell_fingerprint(parent.fingerprint, cell),
        span=spans.of_cell(cell),
        params=parent.params | _facts([cell]) | {"fold": cell.key.fold, "seed": cell.key.seed},
        tags=parent.tags | {"kind": "cell", PARENT: parent_id},
        metrics=[
            *((shown, cell.metrics[name], 0) for name, shown in TEST.items()),
            *_curves(cell.history),
        ],
        datasets=[
            _dataset(f"{name}-without-fold{cell.key.fold}", clips - held_out, "training", finished),
            _dataset(f"{name}-fold{cell.key.fold}", held_out, "validation", finished),
        ],
        artifacts=finished.sources(cell),
    )


def mode_fingerprint(mode: Mode) -> str:
    """Of a mode's run: the content of its cells. Its intervals depend on the modes beside it, and are no part of it."""
    return fingerprint(["mode", RUN_LAYOUT, mode.norm, mode.sha256])


def cell_fingerprint(parent: str, cell: StoredCell) -> str:
    """Of a cell's run, below the mode's run with the fingerprint ``parent``."""
    return fingerprint(["cell", parent, cells_digest([cell])])


def colour(norm: str, finished: Finished) -> str:
    """The mode's in the report's pictures."""
    modes = [mode.norm for mode in finished.results.verdict.modes]
    params = {name: NormParams.model_validate(finished.params["norm"][name]) for name in modes}
    return colours({name: Traits.of(each).family for name, each in params.items()})[norm]


def _settings(norm: str, cells: list[StoredCell], finished: Finished) -> dict[str, Any]:
    """The same keys for every mode: MLflow's comparison shows what differs only where every run has the key."""
    own = {mode: _flat({"mode": values}) for mode, values in finished.params["norm"].items()}
    every = dict.fromkeys((name for values in own.values() for name in values), "")
    return {
        "norm": norm,
        **every,
        **own[norm],
        **_flat({name: value for name, value in finished.params.items() if name not in _OTHERS}),
        "dataset.digest": finished.results.verdict.dataset.digest,
        "spectrogram.fingerprint": cells[0].metrics["front_end"],
        "git.commit": finished.tags["mlflow.source.git.commit"],
        EXPERIMENT: finished.tags[EXPERIMENT],
        **_facts(cells),
    }


def _facts(cells: list[StoredCell]) -> dict[str, str]:
    """How cells were run; where they differ, all that there was."""
    facts = {
        f"run.{name}": ", ".join(sorted({str(cell.run[name]) for cell in cells if name in cell.run}))
        for name in ("device", "device_name", "precision", "torch", "python")
    }
    return facts | {"run.times": spans.of_cells(cells).known}


def _curves(history: pd.DataFrame) -> list[tuple[str, float, int]]:
    return [
        (curve, float(row[name]), int(row["epoch"]))
        for row in history.to_dict("records")
        for name, curve in CURVES.items()
    ]


def _dataset(name: str, clips: int, context: str, finished: Finished) -> DatasetInput:
    dataset = Dataset(
        name=name,
        digest=finished.results.verdict.dataset.digest[:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": "data/spectrograms"}),
        profile=json.dumps({"num_rows": clips}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])


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
