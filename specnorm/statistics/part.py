"""The moments of a part of a fold, taken while its spectrograms are extracted, before they are rounded for the disk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from specnorm.errors import IntegrityError
from specnorm.statistics import columns
from specnorm.statistics.moments import Moments


class PartMoments:
    """Moments per bin of spectrograms that come one after the other.

    Args:
        amin: the power of digital silence, of the front end.
    """

    def __init__(self, amin: float) -> None:
        self._floor_db = float(10 * np.log10(amin))
        self._found: Moments | None = None

    def add(self, spectrogram: NDArray[np.floating]) -> None:
        """Take a clip's ``[1, bins, frames]``, in dB."""
        own = Moments.of(spectrogram[0], self._floor_db)
        self._found = own if self._found is None else self._found.merge(own)

    def document(self) -> dict[str, Any]:
        """They, JSON-like."""
        assert self._found is not None
        columned: dict[str, Any] = columns.document(self._found, None)["bins"]
        return columned


def read(document: dict[str, Any], *, where: object) -> Moments:
    """What :meth:`PartMoments.document` wrote.

    Raises:
        IntegrityError: it is damaged, or holds what no values have.
    """
    try:
        found, _ = columns.moments_of({"bins": document})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise IntegrityError("damaged moments", where=where, got=repr(error)) from error
    columns.check_possible(found, None, where)
    return found
