"""When runs began and ended, as far as their cells tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from specnorm.training.cells import StoredCell
from specnorm.training.key import METRICS_FILE


@dataclass(frozen=True)
class Span:
    """A run's time.

    Args:
        began: seconds since 1970.
        ended: seconds since 1970.
        known: how these are known, in words.
    """

    began: float
    ended: float
    known: str

    def at(self, epoch: int, epochs: int) -> float:
        """The end of an epoch, from 1 on, if all took as long: a history has no times."""
        return self.began + (self.ended - self.began) * epoch / epochs


def of_cell(cell: StoredCell) -> Span:
    """When the process worked that finished a cell, which one that was killed before it may have begun.

    How long it took is measured. Its end is what ``run.json`` says, or else the time of the file that was written last:
    that is the cell's own as long as the file is, and later where it was copied, or fetched from another machine.
    """
    ended = cell.run.get("ended")
    known = "recorded" if ended is not None else "reckoned from a file's time"
    last = float((cell.folder / METRICS_FILE).stat().st_mtime if ended is None else ended)
    return Span(last - cell.run["total_seconds"], last, known)


def of_cells(cells: Sequence[StoredCell]) -> Span:
    """From the first cell's beginning to the last one's end, whatever was done between them."""
    spans = [of_cell(cell) for cell in cells]
    known = ", ".join(sorted({span.known for span in spans}))
    return Span(min(span.began for span in spans), max(span.ended for span in spans), known)
