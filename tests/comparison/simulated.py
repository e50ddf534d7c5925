"""Right and wrong as training runs and recordings make it: the design of ESC-50, with what the runs add known."""

from __future__ import annotations

import numpy as np

from specnorm.comparison.variance import Variance, of_hits

FOLDS = 5


def hits(
    generator: np.random.Generator,
    gains: list[float],
    *,
    seeds: int = 1,
    recordings: int = 1520,
    clips: int = 2000,
    whole_run: float = 0.0,
    folded: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each run gets right ``[modes, seeds, clips]``, the clips' folds and recordings.

    A clip's chance is its recording's, between easy and hopeless, such that another run of the same mode changes some
    22 % of the clips. Added to it are a mode's gain, ``whole_run``, the deviation of a cell (one mode, fold and seed),
    and ``folded``, that of a mode in a fold whatever the seed.
    """
    own = np.sort(np.concatenate([np.arange(recordings), generator.integers(0, recordings, clips - recordings)]))
    folds = own % FOLDS + 1
    chance = generator.beta(0.77, 0.33, recordings)[own]
    modes = len(gains)
    shift = np.array(gains)[:, None, None] + generator.normal(0, folded, (modes, 1, FOLDS))
    shift = shift + generator.normal(0, whole_run, (modes, seeds, FOLDS))
    # Where a chance is 0 or 1 no shift is left of it; the others bear more, so that the whole moves by the shift.
    room = np.minimum(chance, 1 - chance)
    moved = chance + shift[:, :, folds - 1] * room / room.mean()
    return generator.random((modes, seeds, clips)) < np.clip(moved, 0, 1), folds, own


def analysed(generator: np.random.Generator, gains: list[float], **design: float | int) -> Variance:
    """The analysis of a simulated comparison, its modes in the alphabet's order."""
    found, folds, recordings = hits(generator, gains, **design)  # type: ignore[arg-type]
    return of_hits(tuple("abcdefghijklmnopqrst"[: len(gains)]), found.astype(float), folds, recordings)
