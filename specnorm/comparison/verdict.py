"""What a comparison says: figures with intervals, every pair in words, and one recommendation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from specnorm.comparison.bootstrap import DRAWS, LEVEL, Bootstrap, Interval
from specnorm.comparison.metrics import METRICS, points
from specnorm.comparison.outcomes import Outcomes
from specnorm.comparison.recommendation import recommend
from specnorm.comparison.significance import PairTests, paired_tests


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Attributes:
        baseline: the mode that the others are held against.
        recommended: the simplest mode that nothing beats.
        recommendation: that in words, with its reason.
        modes: a row a mode and metric: ``norm``, ``metric``, ``mean`` over cells, ``deviation`` over cells (ddof 1),
            ``low`` and ``high`` of the 95 % interval, ``cells``.
        pairs: a row a pair: ``one``, ``other``, the difference in each metric (``one`` less ``other``) with its
            interval, the tests, and ``sentence``.
        classes: a row a mode and class: the share of the class's clips that are right, less the baseline's.
        clips: a row a clip that some modes get right and others wrong, with the share of seeds right by mode.
        draws: of the bootstrap and of the permutations.
    """

    baseline: str
    recommended: str
    recommendation: str
    modes: pd.DataFrame
    pairs: pd.DataFrame
    classes: pd.DataFrame
    clips: pd.DataFrame
    draws: int


def compare(
    found: Outcomes, clips: pd.DataFrame, *, simplest: Sequence[str], baseline: str, draws: int = DRAWS
) -> Verdict:
    """Estimate, test, and say it.

    Args:
        found: from :func:`specnorm.comparison.outcomes.gather`.
        clips: from :func:`specnorm.comparison.outcomes.held_out_clips`.
        simplest: the modes from the simplest on.
        baseline: the mode that the others are held against; where it was not compared, the simplest stands in.
        draws: of the bootstrap and of the permutations.
    """
    modes = list(found.probabilities)
    if baseline not in modes:
        baseline = simplest[0]
    bootstrap = Bootstrap(found, draws=draws)
    pairs = _pairs(modes, baseline)
    tests = paired_tests(found, bootstrap, pairs, draws=draws)
    table = _pair_table(found, bootstrap, pairs, tests)
    recommended, reason = recommend(simplest, table)
    return Verdict(
        baseline=baseline,
        recommended=recommended,
        recommendation=reason,
        modes=_mode_table(modes, bootstrap),
        pairs=table,
        classes=_class_table(clips, bootstrap, [mode for mode in modes if mode != baseline], baseline),
        clips=_disagreements(found, clips),
        draws=draws,
    )


def sentence(one: str, other: str, accuracy: Interval, tests: PairTests, pairs: int = 1) -> str:
    """A pair in plain words, in points of accuracy (hundredths); ``pairs`` is how many were tested."""
    low, high = points(accuracy.low), points(accuracy.high)
    if tests.distinguishable:
        if accuracy.value < 0:
            one, other, low, high = other, one, -high, -low
        p = "below 0.001" if tests.p_adjusted < 0.001 else f"{tests.p_adjusted:.2g}"
        return (
            f"{one} beats {other} by {abs(points(accuracy.value)):.1f} points, 95 % interval {low:.1f} to {high:.1f}, "
            f"adjusted p {p}"
        )
    if low == high == 0:
        return f"{one} and {other} are not distinguishable: no source recording tells them apart"
    if not math.isfinite(tests.detectable):
        return f"{one} and {other} are not distinguishable: these are too few source recordings to tell any difference"
    power = (
        f"{low:.1f} to {high:.1f} points, and this design sees differences of {points(tests.detectable):.1f} or more"
    )
    if tests.p_permutation < 1 - LEVEL or low > 0 or high < 0:
        return (
            f"{one} and {other} are not distinguishable (p {tests.p_permutation:.2g}, {tests.p_adjusted:.2g} after "
            f"correction for {pairs} pairs): the interval of this pair alone is {power}"
        )
    return f"{one} and {other} are not distinguishable: the interval is {power}"


def _pairs(modes: list[str], baseline: str) -> list[tuple[str, str]]:
    """Every pair once: those with the baseline first, then the others, the later mode less the earlier one."""
    others = [mode for mode in modes if mode != baseline]
    return [(mode, baseline) for mode in others] + [(later, earlier) for earlier, later in combinations(others, 2)]


def _mode_table(modes: list[str], bootstrap: Bootstrap) -> pd.DataFrame:
    rows = []
    for mode in modes:
        for metric in METRICS:
            found, cells = bootstrap.estimate(mode, metric), bootstrap.by_cell(mode, metric)
            deviation = float(cells.std(ddof=1)) if len(cells) > 1 else math.nan
            rows.append(
                {
                    "norm": mode,
                    "metric": metric,
                    "mean": found.value,
                    "deviation": deviation,
                    "low": found.low,
                    "high": found.high,
                    "cells": len(cells),
                }
            )
    return pd.DataFrame(rows)


def _pair_table(
    found: Outcomes, bootstrap: Bootstrap, pairs: list[tuple[str, str]], tests: list[PairTests]
) -> pd.DataFrame:
    rows = []
    for (one, other), tested in zip(pairs, tests, strict=True):
        intervals = {metric: bootstrap.difference(one, other, metric) for metric in METRICS}
        right, wrong = found.right(one), found.right(other)
        rows.append(
            {
                "one": one,
                "other": other,
                **{
                    f"{metric}_{name}": value
                    for metric, interval in intervals.items()
                    for name, value in (("difference", interval.value), ("low", interval.low), ("high", interval.high))
                },
                **vars(tested),
                "distinguishable": tested.distinguishable,
                "only_one_right": int(np.count_nonzero(right > wrong)),
                "only_other_right": int(np.count_nonzero(right < wrong)),
                "sentence": sentence(one, other, intervals["accuracy"], tested, len(pairs)),
            }
        )
    return pd.DataFrame(rows)


def _class_table(clips: pd.DataFrame, bootstrap: Bootstrap, modes: list[str], baseline: str) -> pd.DataFrame:
    labels = clips.drop_duplicates("target").set_index("target")["label"]
    sizes = clips["target"].value_counts()
    rows = [
        {
            "norm": mode,
            "baseline": baseline,
            "target": target,
            "label": labels[target],
            "clips": int(sizes[target]),
            "difference": interval.value,
            "low": interval.low,
            "high": interval.high,
        }
        for mode in modes
        for target, interval in enumerate(bootstrap.by_class(mode, baseline))
        if target in sizes  # a class that no held-out fold has says nothing of any mode
    ]
    names = ["norm", "baseline", "target", "label", "clips", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def _disagreements(found: Outcomes, clips: pd.DataFrame) -> pd.DataFrame:
    """Clips that the modes disagree on, those that fewest modes get right first."""
    shares = pd.DataFrame({mode: found.right(mode) for mode in found.probabilities})
    table = pd.concat([clips[["clip", "fold", "label", "source"]], shares], axis=1)
    hardest_first = table.assign(_right=shares.mean(axis=1)).sort_values(["_right", "clip"]).drop(columns="_right")
    differ = shares.max(axis=1) > shares.min(axis=1)
    return hardest_first[differ.loc[hardest_first.index]].reset_index(drop=True)
