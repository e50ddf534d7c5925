"""Random streams keyed by what they are for, so that no step depends on how many draws came before it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_INITIAL_WEIGHTS = 0
_CLIP_ORDER = 1


def initial_weights(*, seed: int, fold: int) -> torch.Generator:
    """The generator of a cell's initial weights: the same for every mode, so that modes are compared like with like."""
    state = np.random.SeedSequence([_INITIAL_WEIGHTS, seed, fold]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))


def clip_order(clips: int, *, seed: int, fold: int, epoch: int) -> Tensor:
    """A permutation ``[clips]`` (int64) for one epoch, the same on every device and for every mode."""
    return torch.from_numpy(np.random.default_rng([_CLIP_ORDER, seed, fold, epoch]).permutation(clips))
