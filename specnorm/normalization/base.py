"""What every normaliser is: a module between the dB spectrogram and the network, built by its kind's name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from specnorm.errors import ConfigurationError
from specnorm.refusal import refusal
from specnorm.statistics.training_set import TrainingStatistics


class Options(BaseModel):
    """A kind's own parameters: the fields of its file in ``conf/norm/`` besides ``kind`` and ``waveform``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Normalizer(nn.Module, ABC):
    """Maps dB spectrograms ``[..., 1, bins, frames]`` to what the network sees, of the same shape.

    A subclass that sets ``kind`` is registered under that name. What it learns from the training statistics are its
    buffers, what the network's training may change are its parameters; a per-clip normaliser has neither. It must be
    constructible as ``cls(options, bins)`` and then take any state that :meth:`fit` gave another instance.
    """

    kind: ClassVar[str] = ""
    needs_statistics: ClassVar[bool] = False  # whether fit takes more from the statistics than the number of bins
    options_type: ClassVar[type[Options]] = Options
    _kinds: ClassVar[dict[str, type[Normalizer]]] = {}

    def __init__(self, options: Options, bins: int) -> None:
        super().__init__()
        self.options = options
        self.bins = bins

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "kind" in cls.__dict__:
            known = Normalizer._kinds.get(cls.kind, cls)
            # A module that is imported anew brings the same class again.
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(f"two normalisers of kind {cls.kind}: {known} and {cls}")
            Normalizer._kinds[cls.kind] = cls

    @classmethod
    def fit(cls, options: Options, statistics: TrainingStatistics) -> Self:
        """A normaliser for one training set; a kind that needs no statistics only takes their number of bins."""
        return cls(options, len(statistics.bins.count))

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` ``[..., 1, bins, frames]`` (dB, float32)."""

    def inverse(self, x: Tensor) -> Tensor:
        """Undo :meth:`forward`, where the kind can."""
        raise NotImplementedError(f"normaliser {self.kind} has no inverse")


def kind_named(name: str, *, where: str | None = None) -> type[Normalizer]:
    """The class registered under ``name``; ``where`` is the key path that the name comes from.

    Raises:
        ConfigurationError: there is none; the message lists those there are.
    """
    try:
        return Normalizer._kinds[name]
    except KeyError:
        known = ", ".join(sorted(Normalizer._kinds))
        raise ConfigurationError(
            "unknown kind of normaliser", where=where, expected=f"one of {known}", got=name
        ) from None


def options_of(kind: type[Normalizer], values: dict[str, Any], *, where: str) -> Options:
    """Check a mode's own fields; ``where`` is their key path.

    Raises:
        ConfigurationError: a field is unknown, missing, of the wrong type or out of range.
    """
    try:
        return kind.options_type.model_validate(values)
    except ValidationError as error:
        raise refusal(error, where=None, section=where, sections={(): kind.options_type}) from None
