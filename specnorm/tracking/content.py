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
from specnorm.tracking.finished import Finished
from specnorm.tracking.marks import RUN_LAYOUT
from specnorm.training.cells import StoredCell

PARENT = "mlflow.parentRunId"
EXPERIMENT = "dvc.experiment"

_DIGEST_LENGTH = 36  # the most that MLflow takes of a data set's digest
_OTHERS = ("norm", "protocol", "compare", "tracking")  # parameters that are not, or not so, a single run's
_CURVES = {"train_loss": "train/loss", "valid_loss": "valid/loss", "valid_accuracy": "valid/accuracy"}


@dataclass(frozen=True)
class Run:
    """A run that is to be in the store."""

    name: str
    fingerprint: str
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: list[tuple[str, float, int]]  # name, value, step
    datasets: list[DatasetInput]
    artifacts: dict[str, Path] = field(default_factory=dict)  # the folder that a file goes to


def mode_run(mode: Mode, finished: Finished) -> Run:
    """A mode's: what is the same in its cells, and the means of the rest."""
    norm, cells = mode.norm, finished.of_mode(mode.norm)
    scores = {f"cv/{name}": value for name, value in numbers(mode).items() if value is not None}
    histories = pd.concat([cell.history for cell in cells]).groupby("epoch", as_index=False)
    clips = finished.results.verdict.dataset.clips
    return Run(
        name=norm,
        fingerprint=mode_fingerprint(mode),
        params=_settings(norm, cells, finished) | {"fold": "all", "seed": "all"},
        tags=finished.tags | {"kind": "mode", "mlflow.runColor": colour(norm, finished)},
        metrics=[
            *_curves(histories[list(_CURVES)].mean(skipna=False)),
            *((name, float(value), 0) for name, value in scores.items()),
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
        params=parent.params | _facts([cell]) | {"fold": cell.key.fold, "seed": cell.key.seed},
        tags=parent.tags | {"kind": "cell", PARENT: parent_id},
        metrics=[
            *_curves(cell.history),
            ("test/accuracy", cell.metrics["accuracy"], 0),
            ("test/loss", cell.metrics["loss"], 0),
        ],
        datasets=[
            _dataset(f"{name}-without-fold{cell.key.fold}", clips - held_out, "training", finished),
            _dataset(f"{name}-fold{cell.key.fold}", held_out, "validation", finished),
        ],
        artifacts=finished.sources(cell),
    )


def mode_fingerprint(mode: Mode) -> str:
    """Of a mode's run: the content of its cells, and the figures that were made of them."""
    return fingerprint(["mode", RUN_LAYOUT, mode.norm, mode.sha256, numbers(mode)])


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
        **_flat({name: value for name, value in finished.params.items() if name not in _OTHERS}),
        "norm": norm,
        **every,
        **own[norm],
        "dataset.digest": finished.results.verdict.dataset.digest,
        "spectrogram.fingerprint": cells[0].metrics["front_end"],
        "git.commit": finished.tags["mlflow.source.git.commit"],
        EXPERIMENT: finished.tags[EXPERIMENT],
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
