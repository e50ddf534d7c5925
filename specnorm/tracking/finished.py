"""What there is to mirror: a comparison, its cells, and what they were made from and with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from specnorm.classifier import module
from specnorm.comparison.document import cells_digest
from specnorm.datasets import naming
from specnorm.errors import IntegrityError
from specnorm.params.dataset import DatasetParams
from specnorm.params.front_end import SpectrogramParams
from specnorm.report.results import Results
from specnorm.training.cells import StoredCell


@dataclass(frozen=True)
class Finished:
    """Results as they lie on disk.

    Args:
        results: the comparison.
        cells: all of its cells, in the order of the protocol.
        params: all parameters, nested; they are logged flat, with the same keys in every run.
        tags: said of every run: the user, ``mlflow.source.git.commit``, ``dvc.experiment``.
        sources: the files that a cell was made from, by the artefact folder that they go to; ``normalizer`` is one.
    """

    results: Results
    cells: list[StoredCell]
    params: dict[str, Any]
    tags: dict[str, str]
    sources: Callable[[StoredCell], dict[str, Path]]

    @property
    def dataset(self) -> str:
        """What to call the data set."""
        return naming.dataset_name(TypeAdapter(DatasetParams).validate_python(self.params["dataset"]))

    @property
    def front_end(self) -> SpectrogramParams:
        """What made the spectrograms."""
        found: SpectrogramParams = TypeAdapter(SpectrogramParams).validate_python(self.params["spectrogram"])
        return found

    def of_mode(self, norm: str) -> list[StoredCell]:
        """A mode's cells."""
        return [cell for cell in self.cells if cell.key.norm == norm]

    def classifier(self, cell: StoredCell) -> module.Classifier:
        """The classifier of one of the cells.

        Raises:
            IntegrityError: a file is damaged, or they do not belong together.
        """
        return module.load(cell, self.sources(cell)["normalizer"], self.front_end)

    def check(self) -> None:
        """Hold the comparison to the cells.

        Raises:
            IntegrityError: it is not one of these cells.
        """
        compared = {mode.norm: mode.sha256 for mode in self.results.verdict.modes}
        norms = dict.fromkeys(cell.key.norm for cell in self.cells)
        found = {norm: cells_digest(self.of_mode(norm)) for norm in norms}
        if compared != found:
            raise IntegrityError("a comparison of other cells", where=self.results.folder, expected=found, got=compared)
