"""The cells that the parameters name, as they lie in the pipeline's places."""

from __future__ import annotations

from pipeline import places
from specnorm.errors import IntegrityError
from specnorm.params import Params
from specnorm.training.cells import StoredCell, read


def cells(params: Params) -> list[StoredCell]:
    """The cells that the parameters name, mode by mode: never a folder that merely lies there.

    Raises:
        IntegrityError: a cell is missing, damaged, or not the one that its folder says.
    """
    named = [
        (norm, fold, seed) for norm in params.norm for fold in params.protocol.folds for seed in params.protocol.seeds
    ]
    stored = []
    for place in named:
        cell = read(places.cell_folder(*place))
        found = tuple(cell.metrics.get(name) for name in ("norm", "fold", "seed"))
        if found != place:
            raise IntegrityError("another cell's files", where=cell.folder, expected=place, got=found)
        stored.append(cell)
    return stored
