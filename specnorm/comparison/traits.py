"""What a mode is like, beside its figures: what its kind declares of itself, and the waveform that it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from specnorm.normalization.base import kind_named
from specnorm.params import Waveform


@dataclass(frozen=True)
class Traits:
    """Of one mode.

    Attributes:
        cost: what it takes to use it, in values kept from training and in work a clip: lower is simpler.
        family: which modes it is like; pictures put them together.
        waveform: the variant of the waveforms that its spectrograms are made of.
    """

    cost: int
    family: str
    waveform: Waveform

    @classmethod
    def of(cls, kind: str, waveform: Waveform) -> Self:
        """What a mode of this kind is like.

        Raises:
            ConfigurationError: there is no such kind.
        """
        declared = kind_named(kind)
        return cls(declared.cost, declared.family, waveform)
