"""The cells that the parameters name, as they lie in the pipeline's places."""

from __future__ import annotations

from itertools import product

from pipeline import places
from specnorm.errors import IntegrityError
from specnorm.params import Params
from specnorm.training.cells import StoredCell, read
from specnorm.training.key import CellKey


def cells(params: Params) -> list[StoredCell]:
    """The cells that the parameters name, mode by mode: never a folder that merely lies there.

    Raises:
        IntegrityError: a cell is missing, damaged, or not the one that its folder says.
    """
    stored = []
    for named in product(params.norm, params.protocol.folds, params.protocol.seeds):
        key = CellKey(*named)
        cell = read(places.cell_folder(key))
        if cell.key != key:
            raise IntegrityError("another cell's files", where=cell.folder, expected=key, got=cell.key)
        stored.append(cell)
    return stored
