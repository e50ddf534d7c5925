"""What a mode is like, beside its figures: what its kind declares of itself, and the waveform that it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from specnorm.normalization.base import kind_named
from specnorm.params import NormParams, Waveform


@dataclass(frozen=True)
class Traits:
    """Of one mode.

    Attributes:
        cost: what it takes to use it, in values kept from training and in work a clip: lower is simpler.
        family: which modes it is like; pictures put them together.
        waveform: the variant of the waveforms that its spectrograms are made of.
        kind: what is done to these.
        options: of the kind, those that were given, by name in the alphabet's order.
    """

    cost: int
    family: str
    waveform: Waveform
    kind: str
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, mode: NormParams) -> Self:
        """What a mode is like.

        Raises:
            ConfigurationError: there is no such kind.
        """
        declared = kind_named(mode.kind)
        return cls(declared.cost, declared.family, mode.waveform, mode.kind, tuple(sorted(mode.options.items())))


def simplest_first(modes: Mapping[str, Traits]) -> list[str]:
    """Modes by what it takes to use them: the lower its kind's cost, the simpler a mode is.

    Among equals comes first one that leaves the waveform alone, and then the one whose name does in the alphabet, so
    that the order of the parameters decides nothing.
    """
    return sorted(modes, key=lambda name: (modes[name].cost, modes[name].waveform != "raw", name))
