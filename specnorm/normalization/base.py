"""What every normaliser is: a module between the dB spectrogram and the network, fitted, and found by its name."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from specnorm.errors import ConfigurationError, DataError
from specnorm.refusal import refusal, shown
from specnorm.statistics.moments import Moments

_PER_BIN = (0, 1, 3)  # the axes of [batch, 1, bins, frames] that statistics a bin are taken over


class Options(BaseModel):
    """A kind's own parameters: the fields of its file in ``conf/norm/`` besides ``kind`` and ``waveform``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class HasMoments(Protocol):
    """Statistics of a training set, however they were gathered."""

    @property
    def moments(self) -> Moments:
        """Moments per frequency bin."""


# What a normaliser is fitted to: statistics, the file that they were saved in, or a number of bins alone.
Source = HasMoments | Moments | str | os.PathLike[str] | int


class Normalizer(nn.Module, ABC):
    """Maps dB spectrograms ``[..., 1, bins, frames]`` to what the network sees, of the same shape.

    A subclass that sets ``kind`` is registered under that name, and the first line of its docstring is the sentence
    that says what it does. What it takes from the training statistics are its buffers, what the network's training may
    change are its parameters; a per-clip normaliser has neither. ``cls(bins)`` is a normaliser that is not fitted yet
    and takes the ``state_dict`` of one that is.

    Args:
        bins: number of frequency bins.
        options: the kind's own parameters; their defaults where not given.

    Attributes:
        kind: the name.
        version: of the numbers that the kind computes. Raise it with any change to them, and trained cells will be
            trained again; leave it with any other change, and they will not.
        fitted_on: what :meth:`fit` needs to know of a training set: its number of bins, or its moments.
        cost: what orders modes by simplicity: what must be kept from training and done for every clip. 0 leaves the
            spectrogram alone, 10 treats every clip by itself, 20 keeps one pair of values, 30 one pair a bin, 40 does
            more than that for every clip, 50 trains parameters with the network.
        family: kinds of one family are shown together.
        options_type: the model of the kind's own parameters.
    """

    kind: ClassVar[str] = ""
    version: ClassVar[int]
    fitted_on: ClassVar[Literal["bins", "moments"]] = "bins"
    cost: ClassVar[int]
    family: ClassVar[str]
    options_type: ClassVar[type[Options]] = Options
    _kinds: ClassVar[dict[str, type[Normalizer]]] = {}

    def __init__(self, bins: int, options: Options | None = None) -> None:
        super().__init__()
        self.bins = bins
        self.options = self.options_type() if options is None else options

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "kind" in cls.__dict__:
            missing = [name for name in ("version", "cost", "family") if not hasattr(cls, name)]
            if missing:
                raise TypeError(f"the normaliser {cls.kind} does not declare its {', '.join(missing)}")
            known = Normalizer._kinds.get(cls.kind, cls)
            # A module that is imported anew brings the same class again.
            if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise TypeError(f"two normalisers of kind {cls.kind}: {known} and {cls}")
            Normalizer._kinds[cls.kind] = cls

    @classmethod
    def sentence(cls) -> str:
        """What the kind does, in one plain sentence: the first line of its docstring.

        >>> kind_named("identity").sentence()
        'Leaves the spectrogram as it is.'
        """
        return (cls.__doc__ or "").partition("\n")[0]

    @classmethod
    def fit(cls, source: Source, /, **options: Any) -> Self:
        """A normaliser for one training set.

        Args:
            source: :class:`~specnorm.statistics.moments.Moments`, anything that has them under ``moments`` as
                ``specnorm.Statistics`` does, the path of a statistics file, or, for a kind that is fitted on nothing
                more, the number of frequency bins.
            **options: the kind's own parameters.

        Raises:
            ConfigurationError: an option is unknown or out of range, or the source does not tell what the kind needs.
            DataError: the moments are empty or not those of any values.
            IntegrityError: the file is missing, damaged or edited.

        >>> import numpy as np
        >>> from specnorm import Channel
        >>> levels = np.array([[-60.0, -40.0], [-30.0, -20.0]])  # dB, [bins, frames]
        >>> norm = Channel.fit(Moments.of(levels, floor_db=-100.0))
        >>> norm.state_dict()["mean"].tolist()
        [[-50.0], [-25.0]]
        """
        checked = options_of(cls, options, where=cls.kind)
        moments = _moments_of(source, cls)
        normalizer = cls(len(moments.count), checked)
        if cls.fitted_on == "moments":
            _refuse_unusable(moments, f"normaliser {cls.kind}")
            normalizer.adapt(moments)
        return normalizer

    def adapt(self, moments: Moments) -> None:
        """Take from a training set's moments ``[bins]`` what the kind keeps; overridden by kinds fitted on them."""
        raise NotImplementedError(f"normaliser {self.kind} is not fitted on moments")

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` ``[..., 1, bins, frames]`` (dB, float32)."""

    def inverse(self, x: Tensor) -> Tensor:
        """Undo :meth:`forward`, where the kind can.

        Raises:
            NotImplementedError: it cannot.
        """
        raise NotImplementedError(f"normaliser {self.kind} has no inverse")


def fit(kind: str, source: Source, /, **options: Any) -> Normalizer:
    """A normaliser of the kind called ``kind``; all else as :meth:`Normalizer.fit`.

    Raises:
        ConfigurationError: there is no such kind, or as :meth:`Normalizer.fit`.

    >>> fit("identity", 201)
    Identity()
    """
    return kind_named(kind).fit(source, **options)


def kind_named(name: str, *, where: object | None = None) -> type[Normalizer]:
    """The class registered under ``name``; ``where`` is the key path or the file that the name comes from.

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


def kinds() -> list[type[Normalizer]]:
    """Every registered class, by name."""
    return [kind for _, kind in sorted(Normalizer._kinds.items())]


def options_of(kind: type[Normalizer], values: dict[str, Any], *, where: str) -> Options:
    """Check a mode's own fields; ``where`` is their key path.

    Raises:
        ConfigurationError: a field is unknown, missing, of the wrong type or out of range.
    """
    try:
        return kind.options_type.model_validate(values)
    except ValidationError as error:
        raise refusal(error, where=None, section=where, sections={(): kind.options_type}) from None


def _moments_of(source: Source, kind: type[Normalizer]) -> Moments:
    """What a source tells of a training set; of a number of bins, empty moments."""
    if isinstance(source, str | os.PathLike):
        from specnorm.statistics.recorder import Statistics  # here, since most sources are no files

        source = Statistics.load(Path(source))
    reduced = getattr(source, "reduced_axes", _PER_BIN)
    if reduced != _PER_BIN:
        raise ConfigurationError(
            "statistics along other axes",
            where=f"normaliser {kind.kind}",
            expected=f"reduced axes {_PER_BIN}, which serve every kind",
            got=reduced,
        )
    moments = source if isinstance(source, Moments) else getattr(source, "moments", None)
    if isinstance(moments, Moments):
        return moments
    bins_do = kind.fitted_on == "bins"
    if bins_do and isinstance(source, int | np.integer) and not isinstance(source, bool) and source > 0:
        return Moments.empty(int(source))
    raise ConfigurationError(
        "nothing to fit to",
        where=f"normaliser {kind.kind}",
        expected="statistics, moments, a file of them" + (" or a number of bins" if bins_do else ""),
        got=shown(source),
    )


def _refuse_unusable(moments: Moments, where: str) -> None:
    """Refuse moments of nothing, and those that no values have."""
    empty = int((moments.count <= 0).sum())
    if empty or not moments.count.size:
        raise DataError(
            "empty statistics",
            where=where,
            expected="values of every frequency bin",
            got=f"none of {empty} of {moments.count.size} bins",
            hint="Update them with the training clips first",
        )
    bad = np.flatnonzero(~(np.isfinite(moments.mean) & np.isfinite(moments.m2) & (moments.m2 >= 0)))
    if bad.size:
        raise DataError(
            "impossible statistics",
            where=where,
            expected="a finite mean and deviation of every frequency bin",
            got=f"a mean of {moments.mean[bad[0]]} and squared deviations of {moments.m2[bad[0]]} of bin {bad[0]}",
        )
