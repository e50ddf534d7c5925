"""What a larger design would find: more seeds, more recordings, from the variances of the one at hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from specnorm.comparison.bootstrap import LEVEL
from specnorm.comparison.metrics import points
from specnorm.comparison.variance import Part, Variance, satterthwaite

ADVISED_SEEDS = 3
POWER = 0.8

_STEP = 2  # seeds more, where the advised number has been run


@dataclass(frozen=True)
class Outlook:
    """The smallest differences (shares of clips) that designs find in four of five cases, for a pair of mean variance.

    Attributes:
        now: this one; NaN where it finds none.
        seeds: a larger number of seeds, with these recordings.
        by_seeds: what it would find.
        recordings: twice as many recordings, with these seeds.
        by_recordings: what they would find.
        at_best: whether ``by_seeds`` is the least that it may be: one seed does not tell how much of what differs
            between two modes' predictions is the run's, and all of it is taken for that.
    """

    now: float
    seeds: int
    by_seeds: float
    recordings: int
    by_recordings: float
    at_best: bool

    def sentence(self, larger: str) -> str | None:
        """It in words, without a full stop; ``None`` where nothing can be foreseen.

        Args:
            larger: what to call ``recordings``, with their number.
        """
        if not math.isfinite(self.by_seeds):
            return None
        seeds = f"{self.seeds} seeds would find differences of {points(self.by_seeds):.1f} points"
        if self.at_best:
            seeds += " at best"
        if not math.isfinite(self.now):
            return f"{seeds}; this design finds none"
        more = f"{larger} with the same folds and seeds {points(self.by_recordings):.1f}"
        return f"This design finds differences of {points(self.now):.1f} points in four of five cases; {seeds}, {more}"


def detectable(error: float, freedom: float, *, pairs: int = 1) -> float:
    """The smallest true difference that a two-sided t-test finds with 80 % power (Bloom 1995).

    Args:
        error: standard error of the difference.
        freedom: its degrees of freedom.
        pairs: tested together: the level is the one that Holm's correction asks of the first of them.

    NaN where nothing varied, which is no power without end, and where no other run is known.
    """
    if not math.isfinite(freedom) or not error > 1e-12:
        return math.nan
    quantiles = stats.t.ppf(1 - (1 - LEVEL) / pairs / 2, freedom) + stats.t.ppf(POWER, freedom)
    return float(quantiles * error)


def outlook(found: Variance, *, pairs: int, recordings: int) -> Outlook:
    """What this design finds, and what larger ones would.

    Args:
        found: the variances of this one.
        pairs: tested together.
        recordings: in this design.
    """
    seeds = ADVISED_SEEDS if found.seeds < ADVISED_SEEDS else found.seeds + _STEP
    return Outlook(
        now=detectable(math.sqrt(max(found.pair + found.runs, 0.0)), found.freedom, pairs=pairs)
        if found.pair > 0
        else math.nan,
        seeds=seeds,
        by_seeds=_found(found, pairs, seeds=seeds, times=1),
        recordings=2 * recordings,
        by_recordings=_found(found, pairs, seeds=found.seeds, times=2),
        at_best=found.seeds == 1,
    )


def _found(found: Variance, pairs: int, *, seeds: int, times: int) -> float:
    """Detectable with other numbers of seeds and ``times`` as many recordings."""
    if not found.pair > 0:
        return math.nan
    shrunk = found.seeds / seeds
    flips = found.pair if found.seeds == 1 else found.flips
    base = (max(found.pair - flips, 0.0) + flips * shrunk) / times
    seed_runs = 0.0 if math.isnan(found.seed_runs) else found.seed_runs
    runs = found.runs - seed_runs + seed_runs * shrunk
    comparisons = len(found.modes) - 1
    parts = [Part(base + runs, base, (found.folds - 1) * comparisons)] if found.folds > 1 else []
    if seeds > 1:
        parts.append(Part(runs, flips * shrunk / times, found.folds * (seeds - 1) * comparisons))
    freedom = satterthwaite(parts, base, runs) if parts else math.nan
    return detectable(math.sqrt(base + runs), freedom, pairs=pairs)
