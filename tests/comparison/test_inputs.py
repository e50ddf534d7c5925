"""The clips that the no-op check and the pictures look at are training clips, as each mode hands them over."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from specnorm.comparison import inputs
from specnorm.comparison.inputs import Inputs, TrainedMode
from specnorm.errors import IntegrityError
from specnorm.normalization import fitted
from specnorm.normalization.base import Normalizer, Options
from specnorm.normalization.fitted import FittedMode
from specnorm.shards.store import Shards, open_shards
from specnorm.training.cells import StoredCell
from tests import made_up

MODES = ("none", "waveform", "global_raw", "channel_raw", "global", "channel")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    with made_up.working_in(folder):
        made_up.fit_modes(folder, MODES)
    return folder


@pytest.fixture(scope="module")
def shards(workspace: Path) -> Shards:
    return open_shards(workspace / "data/spectrograms")


@pytest.fixture(scope="module")
def fits(workspace: Path) -> dict[str, FittedMode]:
    return {mode: fitted.read(workspace / f"data/normalizers/{mode}/fold-2.json") for mode in MODES}


@pytest.fixture(scope="module")
def modes(workspace: Path, shards: Shards, fits: dict[str, FittedMode]) -> dict[str, TrainedMode]:
    """Nothing in these is trained."""

    def cell(mode: str) -> StoredCell:
        return made_up.write_cell(workspace / "cells", shards, mode, 2, trained=fits[mode].build())

    return {mode: inputs.trained(fit, cell(mode)) for mode, fit in fits.items()}


@pytest.fixture(scope="module")
def taken(shards: Shards, modes: dict[str, TrainedMode]) -> Inputs:
    return inputs.take(shards, modes, 2, count=16)


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a kind that is trained with the network, and that other tests do not meet."""
    monkeypatch.setattr(Normalizer, "_kinds", dict(Normalizer._kinds))

    class Learned(Normalizer):
        """Adds what training finds best, and drops values while it does."""

        kind = "learned_in_a_test"
        version, cost, family = 1, 50, "learned"

        def __init__(self, bins: int, options: Options | None = None) -> None:
            super().__init__(bins, options)
            self.shift = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return functional.dropout(x, 0.5, self.training) + self.shift

    return Learned.kind


def test_a_mode_that_is_trained_is_shown_as_its_training_left_it(
    tmp_path: Path, shards: Shards, fits: dict[str, FittedMode], learned: str
) -> None:
    """A regression: it was shown as it was fitted, and as it is while the network is trained."""
    fit = dataclasses.replace(fits["none"], mode="learned", kind=learned, state={"shift": [0.0]})
    normalizer = fit.build()
    with torch.no_grad():
        normalizer.get_parameter("shift").fill_(3.0)
    cell = made_up.write_cell(tmp_path, shards, "learned", 2, trained=normalizer)
    taken = inputs.take(shards, {"learned": inputs.trained(fit, cell)}, 2, count=16)
    torch.testing.assert_close(taken.of("learned"), taken.levels["raw"] + 3, rtol=0, atol=0)
    assert not taken.of("learned").requires_grad


def test_weights_of_another_mode_are_named(tmp_path: Path, shards: Shards, fits: dict[str, FittedMode]) -> None:
    cell = made_up.write_cell(tmp_path, shards, "global", 2, trained=fits["global"].build())
    for mode in ("none", "channel"):
        with pytest.raises(IntegrityError, match=r"weights of another normaliser in .*global/fold-2/seed-0/model"):
            inputs.trained(fits[mode], cell)


def test_clips_are_of_the_training_folds_and_no_clip_twice(taken: Inputs, shards: Shards) -> None:
    folds = shards.clips.set_index("clip")["fold"]
    assert len(set(taken.clips)) == len(taken.clips) == 16
    assert set(folds[taken.clips]) == {1, 3}


def test_levels_are_those_of_the_named_clips(taken: Inputs, shards: Shards) -> None:
    rows = shards.clips.set_index("clip")
    for waveform, levels in taken.levels.items():
        assert levels.dtype == torch.float32
        for level, clip in zip(levels, taken.clips, strict=True):
            stored = shards.rows(waveform, int(rows.loc[clip, "fold"]), [int(rows.loc[clip, "row"])])[0]
            np.testing.assert_array_equal(level.numpy(), stored)


def test_a_small_training_set_is_taken_whole(shards: Shards, modes: dict[str, TrainedMode]) -> None:
    everything = inputs.take(shards, modes, 2, count=10**6)
    assert sorted(everything.clips) == sorted(shards.clips.loc[shards.clips["fold"] != 2, "clip"])
    values = everything.of("global")
    assert float(values.mean()) == pytest.approx(0, abs=1e-4)  # float32 sums
    assert float(values.std()) == pytest.approx(1, abs=1e-4)


def test_the_draw_is_the_seeds(shards: Shards, modes: dict[str, TrainedMode], taken: Inputs) -> None:
    assert inputs.take(shards, modes, 2, count=16).clips == taken.clips
    assert inputs.take(shards, modes, 2, count=16, seed=1).clips != taken.clips


def test_every_mode_is_held_against_the_untouched_spectrogram_of_its_waveform(taken: Inputs) -> None:
    found = taken.effects()
    assert list(found) == [
        "waveform against none",
        "global_raw against none",
        "channel_raw against none",
        "global against waveform",
        "channel against waveform",
    ]
    for name, (reference, treated) in found.items():
        assert torch.equal(treated, taken.of(name.split()[0]))
        assert torch.equal(reference, taken.levels["raw" if name.endswith("none") else "standardized"])


def test_histograms_hold_every_value(taken: Inputs) -> None:
    for mode in MODES:
        shares, edges = taken.histogram(mode)
        assert shares.sum() == pytest.approx(1)
        assert len(edges) == len(shares) + 1
        assert edges[0] <= taken.of(mode).min()
        assert edges[-1] >= taken.of(mode).max()
    assert taken.unit("none") == taken.unit("waveform") == "dB"
    assert taken.unit("channel_raw") == "normalised level"
