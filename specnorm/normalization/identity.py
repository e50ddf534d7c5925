"""The spectrogram as it is."""

from __future__ import annotations

from torch import Tensor

from specnorm.normalization.base import Normalizer


class Identity(Normalizer):
    """Leaves the spectrogram as it is.

    The kind of the modes ``none`` and ``waveform``. Shapes as :class:`~specnorm.normalization.base.Normalizer`.

    >>> import torch
    >>> norm = Identity.fit(201)  # a number of bins is all that it needs
    >>> norm(torch.full((8, 1, 201, 401), -40.0)).mean().item()
    -40.0
    """

    kind = "identity"
    version = 1
    cost = 0
    family = "identity"

    def forward(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x

    def inverse(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x
