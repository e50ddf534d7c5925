"""Statistics of spectrograms that come in batches, from any loader, on any device, in one process or many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, distributed

from specnorm.errors import ConfigurationError, DataError
from specnorm.statistics import batch
from specnorm.statistics.moments import Moments
from specnorm.statistics.padding import Lengths, Mask, check_lengths, valid_values
from specnorm.statistics.recorded import AXES, BINS, Recorded

if TYPE_CHECKING:
    from specnorm.audio.front_end import FrontEnd

_Number = TypeVar("_Number", np.float64, np.int64)


class Statistics:
    """Running count, mean, deviation, extremes and floor share of spectrograms ``[batch, channels, bins, frames]``.

    One pass over the batches gives one set of figures for each frequency bin, and from these the set of all bins as
    one. The moments are float64 whatever the values are, and they merge (Chan, Golub and LeVeque 1983, "Algorithms for
    computing the sample variance"): parts of a data set may be seen by different objects, processes and machines.

    >>> import torch
    >>> spectrograms = torch.tensor([[0.0, 2.0], [-100.0, -60.0]]).reshape(1, 1, 2, 2)  # dB, two bins of two frames
    >>> statistics = Statistics(floor_db=-100.0)
    >>> statistics.update(spectrograms)
    >>> statistics.update(spectrograms + 4)
    >>> statistics.mean, statistics.floor_share
    (array([  3., -78.]), array([0.  , 0.25]))
    >>> statistics
    Statistics(clips=2, frames=4, kept=(2,), reduced_axes=(0, 1, 3), floor_db=-100.0)

    Args:
        reduced_axes: those of the four axes that become one figure; a negative one counts from the last. All but the
            bins where not given; ``(0, 1, 2, 3)`` gives one figure in all. The others, the kept axes, must be of the
            same size in every batch.
        floor_db: the level of digital silence in dB; values not above it (to the rounding of their type) count as
            floor. Nothing is counted where it is not given.

    Raises:
        ConfigurationError: there is no such axis, an axis stands twice, or there is none; the floor is not finite.
    """

    def __init__(self, *, reduced_axes: Sequence[int] = (0, 1, 3), floor_db: float | None = None) -> None:
        self._recorded = Recorded.nothing(reduced_axes, floor_db)

    @classmethod
    def like(cls, front_end: FrontEnd, *, reduced_axes: Sequence[int] = (0, 1, 3)) -> Self:
        """Statistics of what ``front_end`` makes: its floor and its frequencies are known, other bins are refused.

        >>> import torch
        >>> from specnorm.audio.front_end import FrontEnd
        >>> from specnorm.params import LinearParams
        >>> params = {"transform": "linear", "sample_rate": 1000, "resampler": "polyphase", "clip_seconds": 0.2}
        >>> window = {"n_fft": 8, "win_length": 8, "hop_length": 4, "amin": 1e-10, "top_db": None}
        >>> front_end = FrontEnd(LinearParams(**params, **window))
        >>> statistics = Statistics.like(front_end)
        >>> statistics.update(front_end(torch.zeros(3, 200)))
        >>> statistics.floor_share
        array([1., 1., 1., 1., 1.])

        Raises:
            ConfigurationError: as :class:`Statistics`.
        """
        nothing = Recorded.nothing(reduced_axes, front_end.floor_db)
        return cls._of(replace(nothing, bin_frequencies_hz=front_end.bin_frequencies_hz.tolist()))

    def update(self, spectrograms: batch.Values, *, lengths: Lengths | None = None, mask: Mask | None = None) -> None:
        """Add a batch where it lies, without a gradient; the batch itself is left alone.

        The sums are float64 on the tensor's own device, at most four million values at a time, and from a GPU only
        those of each bin come back, in one small copy. On a device without float64 (Apple's MPS) they are taken on the
        CPU, to which the batch is then copied piece by piece.

        >>> import torch
        >>> statistics = Statistics()
        >>> padded = torch.tensor([[[[1.0, 3.0, 0.0]]], [[[5.0, 0.0, 0.0]]]])  # two clips, one bin
        >>> statistics.update(padded, lengths=[2, 1])
        >>> statistics.count, statistics.mean
        (array([3]), array([3.]))

        Args:
            spectrograms: ``[batch, channels, bins, frames]`` in dB, of any floating type: a tensor on any device, or
                an array.
            lengths: ``[batch]``, the number of frames of each clip that are no padding, whole numbers.
            mask: true where a value counts, false where it is padding: four axes, each of the size of the batch's or
                of size 1, such as ``[batch, 1, 1, frames]``.

        Raises:
            DataError: another shape, type or number of bins than it should be; lengths or a mask that do not belong to
                the batch, or both; a NaN or an infinity that is no padding (the message names the batch, from 0 on,
                and the index in it). The statistics are then as they were before.
        """
        where = f"batch {self._recorded.batches}"
        kept = self._checked(spectrograms, where)
        shape = tuple(spectrograms.shape)
        valid = valid_values(shape, batch.summing_device(spectrograms), lengths, mask, where)
        sums = batch.piece_sums(spectrograms, valid.values, self.reduced_axes, self.floor_db)
        if valid.lengths is None:
            arrays = batch.to_host(sums)
        else:  # the lengths come along, so that a GPU is waited for once
            given, *arrays = batch.to_host([valid.lengths, *sums])
            check_lengths(given, shape[-1], where)
        if not batch.all_finite(arrays):
            index, value = batch.first_bad(spectrograms, valid.values)
            what = "a value too large to square" if math.isfinite(value) else "a value is not finite"
            raise DataError(what, where=f"{where}, index {index}", got=value)
        self._recorded = self._recorded.plus_batch(kept, batch.merged_sums(arrays), len(spectrograms))

    def merge(self, other: Statistics) -> Statistics:
        """Statistics of both sets' values together, as new ones; so do ``a + b``, ``a += b`` and ``sum(parts)``.

        >>> import torch
        >>> one, other = Statistics(), Statistics()
        >>> one.update(torch.zeros(1, 1, 2, 5))
        >>> other.update(torch.ones(3, 1, 2, 5))
        >>> (one + other).mean, sum([one, other, other]).count
        (array([0.75, 0.75]), array([35, 35]))

        Raises:
            DataError: they differ in the reduced axes, the sizes of the kept ones, the frequencies, or the floor.
        """
        return self._of(self._recorded.merge(other._recorded, "statistics to merge"))

    def __add__(self, other: Statistics) -> Statistics:
        return self.merge(other) if isinstance(other, Statistics) else NotImplemented

    def __radd__(self, other: int) -> Statistics:
        return self._of(self._recorded) if other == 0 else NotImplemented  # sum() begins with 0

    def __iadd__(self, other: Statistics) -> Self:
        if not isinstance(other, Statistics):
            return NotImplemented
        self._recorded = self.merge(other)._recorded
        return self

    def all_reduce(self, group: distributed.ProcessGroup | None = None) -> None:
        """Give every process of ``group`` (all, where not given) the statistics of all of them, the same to the bit.

        Every process calls it once, after its last batch: a second call would count every value again. One that saw no
        batch takes part. Only the moments travel; they are merged in the order of the ranks. With the NCCL backend,
        each process sets its CUDA device first (``torch.cuda.set_device``).

        Raises:
            ConfigurationError: there is no process group, or this process is not in it.
            DataError: two processes differ as in :meth:`merge`; it is raised in all of them.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ConfigurationError(
                "no process group", where="all_reduce", hint="Call torch.distributed.init_process_group first"
            )
        if distributed.get_rank(group) < 0:
            raise ConfigurationError("this process is not in the group", where="all_reduce")
        parts = [self._recorded] * distributed.get_world_size(group)
        distributed.all_gather_object(parts, self._recorded, group)
        found = parts[0]
        for rank, part in enumerate(parts[1:], start=1):
            found = found.merge(part, f"rank {rank}, beside the ranks before it")
        self._recorded = found

    def save(self, path: str | Path) -> None:
        """Write one JSON file, atomically; :meth:`load` gives the same to the last bit.

        Raises:
            DataError: there is no value yet, or none at some position.
            ResourceError: the file cannot be written.
        """
        self._recorded.write(Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote, or a statistics file of the pipeline, whose provenance is not looked at.

        >>> import tempfile
        >>> import torch
        >>> statistics = Statistics()
        >>> statistics.update(torch.arange(6.0).reshape(1, 1, 2, 3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     statistics.save(f"{folder}/statistics.json")
        ...     Statistics.load(f"{folder}/statistics.json").mean
        array([1., 4.])

        Raises:
            IntegrityError: the file is missing, damaged, edited, of another format, or holds impossible values.
        """
        return cls._of(Recorded.read(Path(path)))

    @property
    def reduced_axes(self) -> tuple[int, ...]:
        """The axes that become one figure, from 0 on, in order."""
        return self._recorded.reduced_axes

    @property
    def floor_db(self) -> float | None:
        """The level of digital silence in dB, where it is set."""
        return self._recorded.floor_db

    @property
    def bin_frequencies_hz(self) -> list[float] | None:
        """Centre of each bin in Hz, where a front end or a file told them."""
        return self._recorded.bin_frequencies_hz

    @property
    def moments(self) -> Moments:
        """The moments, one for each bin, ``[bins]`` (for other kept axes, one for each position, the last one fastest).

        Raises:
            DataError: there is no value yet, or none at some position.
        """
        return self._recorded.moments

    @property
    def pooled(self) -> Moments:
        """The moments of all kept positions as one, ``[1]``; raises as :attr:`moments`."""
        return self.moments.pooled()

    @property
    def count(self) -> NDArray[np.int64]:
        """Values seen, of the shape of the kept axes: ``[bins]``, or no axis where all are reduced.

        Like every figure below, it raises a ``DataError`` where :attr:`moments` does.
        """
        return self._shaped(self.moments.count)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean in dB, of the shape of :attr:`count`."""
        return self._shaped(self.moments.mean)

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Population standard deviation in dB, of the shape of :attr:`count`."""
        return self._shaped(self.moments.deviation)

    @property
    def minimum(self) -> NDArray[np.float64]:
        """Smallest value in dB, of the shape of :attr:`count`."""
        return self._shaped(self.moments.minimum)

    @property
    def maximum(self) -> NDArray[np.float64]:
        """Largest value in dB, of the shape of :attr:`count`."""
        return self._shaped(self.moments.maximum)

    @property
    def floor_share(self) -> NDArray[np.float64]:
        """Share of values at the floor, 0 to 1, of the shape of :attr:`count`; a ``DataError`` without ``floor_db``."""
        if self.floor_db is None:
            raise DataError("no floor was counted", where="statistics", expected="floor_db", got="None")
        return self._shaped(self.moments.floor_share)

    def __repr__(self) -> str:
        seen, counted = self._recorded, "frames" if self._recorded.kept_axes == (BINS,) else "values"
        count = 0 if seen.running is None else seen.running.moments.count.max()
        return (
            f"Statistics(clips={seen.clips}, {counted}={count}, kept={seen.kept}, "
            f"reduced_axes={seen.reduced_axes}, floor_db={seen.floor_db})"
        )

    @classmethod
    def _of(cls, recorded: Recorded) -> Self:
        found = cls()
        found._recorded = recorded
        return found

    def _checked(self, spectrograms: batch.Values, where: str) -> tuple[int, ...]:
        """The sizes of the kept axes of a good batch."""
        if isinstance(spectrograms, Tensor):
            floating = spectrograms.is_floating_point() and not (spectrograms.is_sparse or spectrograms.is_meta)
        else:
            floating = isinstance(spectrograms, np.ndarray) and spectrograms.dtype.kind == "f"
        if not floating:
            got = getattr(spectrograms, "dtype", type(spectrograms).__name__)
            raise DataError("bad spectrograms", where=where, expected="a dense array of floating type", got=got)
        shape = tuple(spectrograms.shape)
        if len(shape) != len(AXES) or 0 in shape:
            raise DataError("bad spectrograms", where=where, expected=f"[{', '.join(AXES)}]", got=f"shape {shape}")
        frequencies, kept = self.bin_frequencies_hz, tuple(shape[axis] for axis in self._recorded.kept_axes)
        if frequencies is not None and shape[BINS] != len(frequencies):
            raise DataError("wrong number of bins", where=where, expected=len(frequencies), got=shape[BINS])
        if self._recorded.kept not in (None, kept):
            raise DataError(
                "other sizes of the kept axes than before", where=where, expected=self._recorded.kept, got=kept
            )
        return kept

    def _shaped(self, figures: NDArray[_Number]) -> NDArray[_Number]:
        return figures.reshape(self._recorded.kept or ())
