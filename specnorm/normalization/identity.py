"""The spectrogram as it is."""

from __future__ import annotations

from torch import Tensor

from specnorm.normalization.base import Normalizer


class Identity(Normalizer):
    """No normalisation: the modes ``none`` and ``waveform``."""

    kind = "identity"

    def forward(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x

    def inverse(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x
