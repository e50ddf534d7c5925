"""Which clips tell most of what the modes disagree on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specnorm.comparison.outcomes import Outcomes


def telling(found: Outcomes, clips: pd.DataFrame) -> list[int]:
    """Clips on which modes differ and seeds agree, the most telling first, as places among the held-out clips.

    At least one mode gets such a clip right with every seed, and at least one gets it wrong with every seed: what tells
    these two apart is the mode, not the draw of a training run. The further apart all modes' probabilities of the
    actual class lie (their standard deviation, of means over seeds), the more a clip tells. Of a source recording only
    one clip is taken: its other clips mostly tell the same. Ties go by the clip's name.

    Args:
        found: predictions of every mode for the clips.
        clips: from :func:`specnorm.comparison.outcomes.held_out_clips`, with ``clip`` and ``source``.
    """
    right = np.stack([found.right(mode) for mode in found.probabilities])  # [modes, clips], share of the seeds
    differ = (right == 1).any(axis=0) & (right == 0).any(axis=0)
    every = np.arange(len(found.targets))
    actual = np.stack([each[:, every, found.targets].mean(axis=0) for each in found.probabilities.values()])
    order = pd.DataFrame({"clip": clips["clip"], "source": clips["source"], "apart": actual.std(axis=0)})
    order = order[differ].sort_values(["apart", "clip"], ascending=[False, True]).drop_duplicates("source")
    return [int(place) for place in order.index]
