"""Moments taken clip by clip: of a fold that is read, or of a part that is extracted, before it is rounded."""

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
        self._scratch = np.empty((0, 0))

    def add(self, spectrogram: NDArray[np.floating]) -> None:
        """Take a clip's ``[bins, frames]``, in dB."""
        if self._scratch.shape != spectrogram.shape:
            self._scratch = np.empty(spectrogram.shape)
        own = Moments.of(spectrogram, self._floor_db, scratch=self._scratch)
        # In the order of the clips, which decides the last bits.
        self._found = own if self._found is None else self._found.merge(own)

    @property
    def moments(self) -> Moments:
        """Of all clips that were taken, of which there must be one."""
        assert self._found is not None
        return self._found

    def document(self) -> dict[str, Any]:
        """They, JSON-like."""
        columned: dict[str, Any] = columns.document(self.moments, None)["bins"]
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
