"""What a cell trains: a normaliser and a network as one module. The one place that builds the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from specnorm.params import ModelParams
from specnorm.training import seeds
from specnorm.training.xresnet import xresnet18


class Model(nn.Module):
    """dB spectrograms ``[batch, 1, bins, frames]`` (float32) -> logits ``[batch, classes]``.

    Args:
        normalizer: stands between the spectrogram and the network; what parameters it has are trained with it.
        network: maps what the normaliser gives to logits.
    """

    def __init__(self, normalizer: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.normalizer = normalizer
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`Model`."""
        logits: Tensor = self.network(self.normalizer(x))
        return logits


def initial_network(params: ModelParams, *, classes: int, seed: int, fold: int) -> nn.Module:
    """The network as a cell's training starts with it: the same for every mode of a fold and seed.

    Args:
        params: which network.
        classes: number of outputs.
        seed: the cell's.
        fold: the cell's held-out fold.
    """
    generator = seeds.initial_weights(seed=seed, fold=fold)
    return xresnet18(classes, generator=generator, stem_init=params.stem_init)


def blank_network(params: ModelParams, *, classes: int) -> nn.Module:
    """The network for weights that are loaded into it; what it draws is overwritten, and nobody else's draws change."""
    return xresnet18(classes, generator=torch.Generator(), stem_init=params.stem_init)
