from __future__ import annotations

import torch

from specnorm.normalization.identity import Identity
from specnorm.shards.store import Shards
from tests.builders import fit_statistics


def test_the_spectrogram_is_untouched_bit_for_bit(shards: Shards) -> None:
    normalizer = Identity.fit(fit_statistics(shards, 1))
    x = torch.from_numpy(shards.parts("raw", 1)[0].copy())
    x[0, 0, 0, :3] = torch.tensor([torch.nan, torch.inf, -0.0])
    before = x.numpy().tobytes()
    assert normalizer(x).numpy().tobytes() == normalizer.inverse(x).numpy().tobytes() == x.numpy().tobytes() == before


def test_it_holds_no_state(shards: Shards) -> None:
    normalizer = Identity.fit(fit_statistics(shards, 1))
    assert normalizer.bins == 9
    assert not normalizer.state_dict()
