"""Moments of one batch of spectrograms, where the batch lies: on a GPU only the sums of each bin leave it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specnorm.statistics.moments import Moments, RunningMoments, floor_threshold

Values = Tensor | NDArray[np.floating]

# Values that are made float64 at a time, so that a batch never stands in memory twice: what a CPU keeps in its caches
# (4 MiB), and elsewhere 32 MiB, since much smaller pieces cost a GPU more in starting kernels than in summing.
PIECE = {"cpu": 2**19}
PIECE_ELSEWHERE = 2**22

# Squares of larger values, and sums of those, would not be finite.
LARGEST = 1e150

_WITHOUT_FLOAT64 = frozenset({"mps"})


def summing_device(values: Values) -> torch.device:
    """Where the sums are taken: where the values lie, or on the CPU where their device has no float64."""
    if isinstance(values, np.ndarray) or values.device.type in _WITHOUT_FLOAT64:
        return torch.device("cpu")
    return values.device


def piece_sums(values: Values, valid: Tensor | None, axes: tuple[int, ...], floor_db: float | None) -> list[Tensor]:
    """Sums over ``axes`` of the valid values, piece by piece: float64 [7, positions] each, on the summing device.

    The rows are those that :func:`merged_sums` reads. Nothing waits for the device.

    Args:
        values: any floating type and shape, not empty. No copy is made of more than a piece.
        valid: bool, of the shape of ``values``, on the summing device; all are valid where it is not given.
        axes: from 0 on, in order.
        floor_db: the level of digital silence; nothing counts as floor where it is not given.
    """
    threshold = None if floor_db is None else _threshold(floor_db, values)
    device = summing_device(values)
    found = []
    for piece in _pieces(tuple(values.shape), axes, PIECE.get(device.type, PIECE_ELSEWHERE)):
        padding = None if valid is None else ~valid[piece]
        sums = _sums(_float64(values[piece], device), padding, axes, threshold)
        found.append(torch.stack([row.flatten() for row in sums]))
    return found


def to_host(tensors: list[Tensor]) -> list[NDArray[np.float64]]:
    """Copies of small tensors as float64 arrays of the same shapes; a GPU is waited for once."""
    together = torch.cat([tensor.to(torch.float64).flatten() for tensor in tensors]).cpu().numpy()
    ends = np.cumsum([tensor.numel() for tensor in tensors])
    return [part.reshape(tensor.shape) for part, tensor in zip(np.split(together, ends[:-1]), tensors, strict=True)]


def all_finite(sums: list[NDArray[np.float64]]) -> bool:
    """Whether no valid value is NaN, infinite or above ``LARGEST``: the extremes of the positions with a value say."""
    # No comparison with NaN is true.
    return all(bool(((count == 0) | ((low >= -LARGEST) & (high <= LARGEST))).all()) for count, low, high, *_ in sums)


def merged_sums(sums: list[NDArray[np.float64]]) -> RunningMoments:
    """Moments ``[positions]`` of the pieces together, from the first to the last."""
    parts = []
    for count, low, high, mean, rest, squares, floor_count in sums:
        moments = Moments(
            count=count.astype(np.int64),
            mean=mean,
            # Corrected for the rounding of the mean (Chan, Golub and LeVeque 1983, equation 1.7).
            m2=np.maximum(squares - count * rest**2, 0.0),
            minimum=low,
            maximum=high,
            floor_count=floor_count.astype(np.int64),
        )
        parts.append(RunningMoments.of(moments, rest))
    return reduce(RunningMoments.merge, parts)


def first_bad(values: Values, valid: Tensor | None) -> tuple[list[int], float]:
    """Index and value of the first valid value that :func:`all_finite` refuses; reads clip by clip."""
    for clip in range(len(values)):
        exact = _float64(values[clip], summing_device(values))
        bad = ~(exact.abs() <= LARGEST)
        if valid is not None:
            bad &= valid[clip]
        if bad.any():
            index = torch.nonzero(bad)[0].tolist()
            return [clip, *index], float(exact[tuple(index)])
    raise ValueError("every value is finite")


def _pieces(shape: tuple[int, ...], axes: tuple[int, ...], largest: int) -> Iterator[tuple[slice, ...]]:
    """Indices that cut an array along ``axes``, the first ones first, into pieces of at most ``largest`` values."""
    steps = list(shape)
    for axis in axes:
        others = math.prod(steps) // steps[axis]
        steps[axis] = min(steps[axis], max(1, largest // others))
    ranges = [range(0, size, step) for size, step in zip(shape, steps, strict=True)]
    for starts in product(*ranges):
        yield tuple(slice(start, start + step) for start, step in zip(starts, steps, strict=True))


def _float64(values: Values, device: torch.device) -> Tensor:
    """A copy that may be written to, whatever it is a copy of (a read-only map of a file, a tensor with a gradient)."""
    if isinstance(values, np.ndarray):
        return torch.from_numpy(np.array(values, np.float64))
    return values.detach().to(device).to(torch.float64, copy=True)


def _threshold(floor_db: float, values: Values) -> Tensor:
    """What no value at the floor is above, be it rounded to float32 or to the values' own type."""
    if isinstance(values, np.ndarray):
        own = torch.tensor(float(np.asarray(floor_db).astype(values.dtype)), dtype=torch.float64)
    else:
        own = torch.tensor(floor_db).to(values.dtype).to(torch.float64)
    return own.clamp(min=floor_threshold(floor_db))


def _sums(exact: Tensor, padding: Tensor | None, axes: tuple[int, ...], threshold: Tensor | None) -> list[Tensor]:
    """Count, extremes, mean, mean and squares of what remains beside it, and floor count; overwrites ``exact``."""
    low = (exact if padding is None else exact.masked_fill(padding, math.inf)).amin(axes, keepdim=True)
    high = (exact if padding is None else exact.masked_fill(padding, -math.inf)).amax(axes, keepdim=True)
    count = torch.full_like(low, exact.numel() // low.numel())
    if padding is not None:
        count -= padding.sum(axes, keepdim=True)
        exact.masked_fill_(padding, math.inf)  # above every threshold
    floor_count = torch.zeros_like(low) if threshold is None else (exact <= threshold).sum(axes, keepdim=True)
    if padding is not None:
        exact.masked_fill_(padding, 0.0)
    some = count.clamp(min=1.0)
    mean = exact.sum(axes, keepdim=True) / some
    exact.sub_(mean)
    if padding is not None:
        exact.masked_fill_(padding, 0.0)
    rest = exact.sum(axes, keepdim=True) / some
    return [count, low, high, mean, rest, exact.square_().sum(axes, keepdim=True), floor_count.to(torch.float64)]
