"""What batch normalisation evaluates with: running statistics, or after few steps those of the whole training set."""

from __future__ import annotations

from torch.optim.swa_utils import update_bn

from specnorm.training.batches import Batches
from specnorm.training.model import Model

# Running statistics begin at mean 0 and variance 1 in units of their input and forget a tenth of themselves a step: of
# the start, 0.9^60 = 0.2 % is left. After fewer steps, modes that train alike (their units apart) would evaluate apart.
FEW_STEPS = 60


def recompute(model: Model, batches: Batches, batch_size: int) -> None:
    """Replace running statistics by averages over the training set's batches (Wu and Johnson 2021, section 3).

    Args:
        model: its weights stay as they are.
        batches: of the training set.
        batch_size: clips a batch.
    """
    update_bn(batches.evaluation(batch_size), model)
