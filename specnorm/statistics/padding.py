"""Which values of a padded batch count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specnorm.errors import DataError

Lengths = Tensor | NDArray[np.integer] | Sequence[int]
Mask = Tensor | NDArray[np.bool_]


@dataclass(frozen=True)
class Valid:
    """The values of a batch that are no padding."""

    values: Tensor | None = None  # bool, of the batch's shape (a view of what was given); None where all count
    lengths: Tensor | None = None  # [batch], to be checked by `check_lengths` once they are on the host


def valid_values(
    shape: tuple[int, ...], device: torch.device, lengths: Lengths | None, mask: Mask | None, where: str
) -> Valid:
    """What ``lengths`` ``[batch]`` in frames (the last axis) or ``mask`` say of a batch; waits for no device.

    Raises:
        DataError: both are given; or one is of another shape or type than it should be.
    """
    if lengths is not None and mask is not None:
        raise DataError("lengths and a mask", where=where, expected="one of them")
    if lengths is not None:
        try:
            frames = torch.as_tensor(lengths, device=device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError("bad lengths", where=where, expected=f"{shape[0]} whole numbers", got=error) from error
        whole = not (frames.is_floating_point() or frames.is_complex() or frames.dtype == torch.bool)
        if frames.shape != shape[:1] or not whole:
            raise DataError(
                "bad lengths",
                where=where,
                expected=f"{shape[0]} whole numbers",
                got=f"{frames.dtype} of shape {tuple(frames.shape)}",
            )
        frames = frames.to(torch.int64)  # unsigned types do not compare
        inside = torch.arange(shape[-1], device=device) < frames[:, None]  # [batch, frames]
        return Valid(inside.reshape(shape[0], *[1] * (len(shape) - 2), shape[-1]).expand(shape), frames)
    if mask is not None:
        counts = torch.as_tensor(mask, device=device)
        # Without its axes of size 1 a mask [batch, frames] would be taken for [bins, frames] where they agree in size.
        fits = counts.ndim == len(shape) and all(
            size in (1, full) for size, full in zip(counts.shape, shape, strict=True)
        )
        if counts.dtype != torch.bool or not fits:
            raise DataError(
                "bad mask",
                where=where,
                expected=f"bool, {len(shape)} axes that are of size 1 or of the batch's {shape}",
                got=f"{counts.dtype} of shape {tuple(counts.shape)}",
            )
        return Valid(counts.expand(shape))
    return Valid()


def check_lengths(lengths: NDArray[np.float64], frames: int, where: str) -> None:
    """Refuse numbers of frames that no clip of the batch has.

    Raises:
        DataError: a length is below 0 or above ``frames``.
    """
    bad = np.flatnonzero((lengths < 0) | (lengths > frames))
    if bad.size:
        raise DataError(
            "bad length", where=f"{where}, clip {bad[0]}", expected=f"0 to {frames} frames", got=int(lengths[bad[0]])
        )
