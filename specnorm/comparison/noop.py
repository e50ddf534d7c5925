"""The no-op check: how much of a normalisation mode is left after the network's first normalisation layer.

A convolution is linear and batch normalisation subtracts a mean and divides by a deviation (Ioffe and Szegedy 2015,
arXiv:1502.03167), so one shift and one scale of the whole input cancel in them, up to two things: BatchNorm's ``eps``,
and the zeros that the convolution pads with, which are no level of the input's own unless its mean is zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

# Of a deviation: far above what BatchNorm's eps leaves (some 0.0005), far below what a bin-by-bin mode does (some 0.2).
_NOTHING = 0.01


@dataclass(frozen=True)
class Difference:
    """Root mean square of the difference of two first-layer outputs, over clips, channels and one kind of position.

    In BatchNorm deviations, where its affine weight is 1, as it is at the start. Two equal outputs have 0, two
    unrelated ones the square root of 2. NaN where there is no such position.
    """

    inside: float  # positions that see the input alone
    border: float  # positions that see padding


@dataclass(frozen=True)
class Survival:
    """What is left of a mode, beside what the padding does by itself.

    Padding reaches the inside too: the border's outputs are part of the mean and the deviation that BatchNorm divides
    every output by.
    """

    effect: Difference  # treated against reference, in the layers as they are
    padded: Difference  # the same, each padded with its own mean: what is not the padding's doing
    padding: Difference  # the reference as it is, against the reference padded with its own mean
    border_share: float  # of the positions, 0 to 1


def survival(network: nn.Module, reference: Tensor, treated: Tensor) -> Survival:
    """Compare the outputs of the first convolution and BatchNorm for two forms of the same clips.

    BatchNorm uses the batch's own statistics, as it does in training, and the network stays as it is. On a GPU, the
    rounding of TF32 would count as a difference.

    Args:
        network: its first two layers are a convolution, with a bias or without (a bias cancels), and BatchNorm.
        reference: float32 [batch, 1, bins, frames], without the mode.
        treated: the same clips with the mode.

    Raises:
        ValueError: the network starts otherwise, or the batches are not of one such shape.
    """
    convolution, normalisation = _first_layers(network)
    if reference.ndim != 4 or reference.shape[1] != 1 or not reference.numel() or treated.shape != reference.shape:
        shapes = f"{tuple(reference.shape)} and {tuple(treated.shape)}"
        raise ValueError(f"two batches of shape [batch, 1, bins, frames] were expected, got {shapes}")
    with torch.no_grad():
        edge = border(convolution, *reference.shape[-2:])

        def output(batch: Tensor) -> Tensor:
            out = convolution(batch)
            return functional.batch_norm(
                out, None, None, normalisation.weight, normalisation.bias, training=True, eps=normalisation.eps
            )

        def difference(one: Tensor, other: Tensor) -> Difference:
            square = (one - other).square_().mean((0, 1), dtype=torch.float64)  # [output bins, output frames]
            return Difference(float(square[~edge].mean().sqrt()), float(square[edge].mean().sqrt()))

        as_it_is = output(reference)
        effect = difference(output(treated), as_it_is)
        # Zeros around x - m are, but for a constant that BatchNorm takes out, m around x.
        own_mean = output(_centred(reference))
        return Survival(
            effect=effect,
            padded=difference(output(_centred(treated)), own_mean),
            padding=difference(as_it_is, own_mean),
            border_share=float(edge.double().mean()),
        )


def table(network: nn.Module, batches: Mapping[str, tuple[Tensor, Tensor]]) -> pd.DataFrame:
    """:func:`survival` of every mode: a row a mode, in the order given.

    Args:
        network: as there.
        batches: a mode's name -> reference and treated.

    Returns:
        Index ``norm``; columns ``effect_inside``, ``effect_border``, ``padded_inside``, ``padded_border``,
        ``padding_inside``, ``padding_border``, ``border_share``.
    """
    rows = [_row(survival(network, reference, treated)) for reference, treated in batches.values()]
    return pd.DataFrame(rows, index=pd.Index(list(batches), name="norm"))


def sentence(name: str, row: Mapping[Any, float]) -> str:
    """A row of :func:`table` in plain words; ``name`` says which effect it is."""
    left = max(value for value in (row["padded_inside"], row["padded_border"]) if not math.isnan(value))
    effect, padded, padding = (_in_words(row, what) for what in ("effect", "padded", "padding"))
    found = "a no-op but for the padding" if left < _NOTHING else "the effect survives"
    return (
        f"{name}: {found}. The outputs differ by {effect}, and by {padded} once both inputs are padded with their own "
        f"mean; that padding alone makes a difference of {padding} to the reference"
    )


def border(convolution: nn.Conv2d, bins: int, frames: int) -> Tensor:
    """Where the outputs for an input of ``bins`` and ``frames`` see padding: bool [output bins, output frames]."""
    device = convolution.weight.device
    kernel = torch.ones(1, 1, *convolution.kernel_size, device=device)
    settings: dict[str, Any] = {name: getattr(convolution, name) for name in ("stride", "padding", "dilation")}
    seen = functional.conv2d(torch.ones(1, 1, bins, frames, device=device), kernel, **settings)[0, 0]
    return seen < kernel.numel()


def _first_layers(network: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """The first two modules without children, in the order in which they were registered."""
    leaves = list(islice((module for module in network.modules() if not any(module.children())), 2))
    match leaves:
        case [nn.Conv2d(in_channels=1) as convolution, nn.BatchNorm2d() as normalisation]:
            return convolution, normalisation
    found = ", then ".join(str(leaf) for leaf in leaves)
    raise ValueError(f"a network that starts with Conv2d of one channel, then BatchNorm2d, was expected, got {found}")


def _centred(batch: Tensor) -> Tensor:
    return batch - batch.mean(dtype=torch.float64).to(batch.dtype)


def _in_words(row: Mapping[Any, float], what: str) -> str:
    said = {"inside": "inside", "border": "at the border"}
    values = {place: row[f"{what}_{place}"] for place in said}
    return " and ".join(f"{value:.2g} {said[place]}" for place, value in values.items() if not math.isnan(value))


def _row(found: Survival) -> dict[str, float]:
    row = {
        f"{what}_{place}": getattr(getattr(found, what), place)
        for what in ("effect", "padded", "padding")
        for place in ("inside", "border")
    }
    return {**row, "border_share": found.border_share}
