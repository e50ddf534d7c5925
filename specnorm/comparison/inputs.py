"""What the network is given: the same clips as every mode hands them over once it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from specnorm.errors import IntegrityError
from specnorm.normalization.fitted import FittedMode
from specnorm.params import WAVEFORMS, Waveform
from specnorm.shards.store import Shards
from specnorm.training.cells import MODEL_FILE, StoredCell, weights

UNTOUCHED: dict[Waveform, str] = {"raw": "none", "standardized": "waveform"}  # the mode that leaves a variant as it is
_BINS = 120  # of a histogram


@dataclass(frozen=True)
class TrainedMode:
    """A mode as a cell's network gets to see it: ``normalizer`` is trained and in evaluation mode."""

    waveform: Waveform
    normalizer: nn.Module


@dataclass(frozen=True)
class Inputs:
    """Some clips of a training set.

    Attributes:
        clips: their names.
        levels: dB spectrograms ``[clips, 1, bins, frames]`` by waveform variant.
        modes: by name, trained on this training set.
    """

    clips: list[str]
    levels: dict[Waveform, Tensor]
    modes: Mapping[str, TrainedMode]

    def of(self, mode: str) -> Tensor:
        """What the network is given ``[clips, 1, bins, frames]``."""
        return self._given[mode]

    @cached_property
    def _given(self) -> dict[str, Tensor]:
        with torch.no_grad():
            return {mode: each.normalizer(self.levels[each.waveform]) for mode, each in self.modes.items()}

    def untouched(self, mode: str) -> bool:
        """Whether the mode hands the dB spectrogram over as it is."""
        return torch.equal(self.of(mode), self.levels[self.modes[mode].waveform])

    def unit(self, mode: str) -> str:
        """What the network's input is measured in."""
        return "dB" if self.untouched(mode) else "normalised level"

    def effects(self) -> dict[str, tuple[Tensor, Tensor]]:
        """What each mode changes, named ``<mode> against <reference>``: the reference and the mode's input.

        The reference is the untouched spectrogram of the same waveform; for the untouched standardised waveform it is
        that of the raw one.
        """
        found = {}
        for mode, each in self.modes.items():
            untouched = self.untouched(mode)
            if untouched and each.waveform == "raw":
                continue  # the reference itself
            waveform: Waveform = "raw" if untouched else each.waveform
            found[f"{mode} against {UNTOUCHED[waveform]}"] = (self.levels[waveform], self.of(mode))
        return found

    def histogram(self, mode: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of the input's values in each bin ``[bins]``, and the bins' edges ``[bins + 1]``."""
        values = self.of(mode).numpy().ravel()
        low, high = float(values.min()), float(values.max())
        counts, edges = np.histogram(values, bins=_BINS, range=(low, high) if high > low else (low - 1, high + 1))
        return counts / len(values), edges


def trained(fitted: FittedMode, cell: StoredCell) -> TrainedMode:
    """A mode with the state that a cell's training left it in, which is the fitted one where nothing in it is trained.

    Args:
        fitted: the mode, fitted to the cell's training set.
        cell: whose weights.

    Raises:
        IntegrityError: the cell's weights are damaged, or of another normaliser.
    """
    normalizer = fitted.build()
    prefix = "normalizer."
    state = {name.removeprefix(prefix): value for name, value in weights(cell).items() if name.startswith(prefix)}
    try:
        normalizer.load_state_dict(state)
    except RuntimeError as error:  # names what is missing, left over, or of another shape
        raise IntegrityError("weights of another normaliser", where=cell.folder / MODEL_FILE, got=error) from error
    return TrainedMode(fitted.waveform, normalizer.eval())


def take(shards: Shards, modes: Mapping[str, TrainedMode], held_out_fold: int, *, count: int, seed: int = 0) -> Inputs:
    """Draw ``count`` clips (or all, where there are fewer) outside the held-out fold, without replacement.

    Args:
        shards: the spectrograms.
        modes: by name, trained with this fold held out.
        held_out_fold: whose training set is drawn from.
        count: how many.
        seed: of the draw.
    """
    folds = [fold for fold in shards.folds if fold != held_out_fold]
    places = [(fold, row) for fold in folds for row in range(len(shards.of_fold(fold)))]
    generator = np.random.default_rng(seed)
    chosen = sorted(generator.choice(len(places), min(count, len(places)), replace=False).tolist())
    rows = {fold: [places[index][1] for index in chosen if places[index][0] == fold] for fold in folds}
    names = [str(shards.of_fold(fold)["clip"].iloc[row]) for fold in folds for row in rows[fold]]
    levels = {
        waveform: torch.from_numpy(np.concatenate([shards.rows(waveform, fold, rows[fold]) for fold in folds]))
        for waveform in WAVEFORMS
    }
    return Inputs(names, levels, modes)
