"""What a comparison says: figures with intervals, every pair in words, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from specnorm.comparison import family, significance
from specnorm.comparison.bootstrap import LEVEL, Bootstrap, Interval, draws_for
from specnorm.comparison.decision import Decision, decide
from specnorm.comparison.metrics import METRICS, calibration_floor
from specnorm.comparison.outcomes import Outcomes
from specnorm.comparison.outlook import Outlook, detectable, outlook
from specnorm.comparison.sentences import PairFinding
from specnorm.comparison.traits import Traits, simplest_first
from specnorm.comparison.variance import Variance, analyse
from specnorm.params import CompareParams


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Attributes:
        baseline: the mode that the others are held against.
        decision: what to do.
        variance: of the accuracies, over recordings and training runs.
        outlook: what this design and larger ones find.
        chance: accuracy of always guessing the most frequent class.
        modes: a row a mode and metric: ``norm``, ``metric``, ``mean`` over cells (or seeds, of a pooled metric),
            ``deviation`` over these (ddof 1), ``low`` and ``high`` of the 95 % interval, ``cells``.
        floors: each mode's calibration error if it were perfectly calibrated.
        pairs: a row a pair: ``one``, ``other``, the difference in each metric (``one`` less ``other``) with its
            interval, what is known of that in accuracy, and ``sentence``.
        classes: a row a mode and class: the share of the class's clips that are right, less the baseline's.
        clips: a row a clip that some modes get right and others wrong, with the share of seeds right by mode.
        draws: of the bootstrap.
    """

    baseline: str
    decision: Decision
    variance: Variance
    outlook: Outlook
    chance: float
    modes: pd.DataFrame
    floors: Mapping[str, float]
    pairs: pd.DataFrame
    classes: pd.DataFrame
    clips: pd.DataFrame
    draws: int


def compare(
    found: Outcomes,
    clips: pd.DataFrame,
    *,
    traits: Mapping[str, Traits],
    params: CompareParams,
    draws: int | None = None,
) -> Verdict:
    """Estimate, test, decide, and say it.

    Args:
        found: from :func:`specnorm.comparison.outcomes.gather`.
        clips: from :func:`specnorm.comparison.outcomes.held_out_clips`.
        traits: of each mode.
        params: the baseline (where that mode was not compared, the simplest stands in), the margin, and how sure.
        draws: of the bootstrap; as many as the recordings ask for where it is not given.
    """
    draws = draws_for(found.recording_count) if draws is None else draws
    modes = {mode: traits[mode] for mode in found.probabilities}
    simplest = simplest_first(modes)
    baseline = params.baseline if params.baseline in modes else simplest[0]
    bootstrap, variance, chance = Bootstrap(found, draws=draws), analyse(found), _chance(found)
    pairs = family.pairs(modes, baseline)
    declared = sum(pairs.values())
    return Verdict(
        baseline=baseline,
        decision=decide(variance, simplest, margin=params.margin, sure=params.sure, chance=chance, level=LEVEL),
        variance=variance,
        outlook=outlook(variance, pairs=max(declared, 1), recordings=found.recording_count),
        chance=chance,
        modes=_mode_table(list(modes), bootstrap, variance),
        floors={mode: _floor(found, mode) for mode in modes},
        pairs=_pair_table(found, bootstrap, variance, pairs),
        classes=_class_table(found, clips, bootstrap, [mode for mode in modes if mode != baseline], baseline),
        clips=_disagreements(found, clips),
        draws=draws,
    )


def _chance(found: Outcomes) -> float:
    """Accuracy, as a mean over folds, of the best guess that hears nothing: always one class."""
    one_hot = np.eye(found.classes)[found.targets]
    return float(np.mean([one_hot[found.folds == fold].mean(axis=0) for fold in np.unique(found.folds)], axis=0).max())


def _floor(found: Outcomes, mode: str) -> float:
    return float(np.mean([calibration_floor(each) for each in found.probabilities[mode]]))


def _mode_table(modes: list[str], bootstrap: Bootstrap, variance: Variance) -> pd.DataFrame:
    rows = []
    for place, mode in enumerate(modes):
        for metric in METRICS:
            found, cells = bootstrap.estimate(mode, metric), bootstrap.by_cell(mode, metric)
            if metric == "accuracy":
                error = math.sqrt(max(variance.covariance[place, place], 0.0))
                reach = variance.reach(error, LEVEL)
                found = Interval(found.value, max(found.value - reach, 0.0), min(found.value + reach, 1.0), error)
            deviation = float(cells.std(ddof=1)) if len(cells) > 1 else math.nan
            rows.append(
                {
                    "norm": mode,
                    "metric": metric,
                    "mean": found.value,
                    "deviation": deviation,
                    "low": found.low,
                    "high": found.high,
                    "cells": variance.folds * variance.seeds,
                }
            )
    return pd.DataFrame(rows)


def _pair_table(
    found: Outcomes, bootstrap: Bootstrap, variance: Variance, pairs: Mapping[family.Pair, bool]
) -> pd.DataFrame:
    declared = [pair for pair, asked in pairs.items() if asked]
    p_values = {pair: variance.p(*pair) for pair in declared}
    adjusted = dict(zip(declared, significance.holm(list(p_values.values())), strict=True))
    taken = significance.same_networks(found, list(pairs), declared=max(len(declared), 1))
    same_networks = dict(zip(pairs, taken, strict=True))
    rows = []
    for pair in pairs:
        one, other = pair
        intervals = {metric: bootstrap.difference(one, other, metric) for metric in METRICS}
        accuracy = _difference(variance, intervals["accuracy"].value, one, other)
        right, wrong = found.right(one), found.right(other)
        finding = PairFinding(
            one=one,
            other=other,
            accuracy=accuracy,
            declared=pair in adjusted,
            p=p_values.get(pair, math.nan),
            p_adjusted=adjusted.get(pair, math.nan),
            detectable=detectable(accuracy.error, variance.freedom, pairs=max(len(declared), 1)),
            runs_known=math.isfinite(variance.freedom),
        )
        rows.append(
            {
                "one": one,
                "other": other,
                **{
                    f"{metric}_{name}": value
                    for metric, interval in (intervals | {"accuracy": accuracy}).items()
                    for name, value in (("difference", interval.value), ("low", interval.low), ("high", interval.high))
                },
                "standard_error": accuracy.error,
                "declared": finding.declared,
                "p": finding.p,
                "p_adjusted": finding.p_adjusted,
                "distinguishable": finding.distinguishable,
                "detectable": finding.detectable,
                "p_same_networks": same_networks[pair],
                "p_corrected_t": significance.over_folds(found, one, other),
                "only_one_right": int(np.count_nonzero(right > wrong)),
                "only_other_right": int(np.count_nonzero(right < wrong)),
                "sentence": finding.sentence(tested=len(declared)),
            }
        )
    return pd.DataFrame(rows)


def _difference(variance: Variance, value: float, one: str, other: str) -> Interval:
    error = variance.error(one, other)
    reach = variance.reach(error, LEVEL)
    return Interval(value, value - reach, value + reach, error)


def _class_table(
    found: Outcomes, clips: pd.DataFrame, bootstrap: Bootstrap, modes: list[str], baseline: str
) -> pd.DataFrame:
    """Marked are differences that are left after Holm's correction for the number of a mode's classes."""
    labels = clips.drop_duplicates("target").set_index("target")["label"]
    sizes = clips["target"].value_counts()
    rows = []
    for mode in modes:
        # A class that no held-out fold has says nothing of any mode.
        there = [target for target in range(found.classes) if target in sizes]
        p_values = significance.by_class(found, mode, baseline)
        adjusted = significance.holm([p_values[target] for target in there])
        intervals = bootstrap.by_class(mode, baseline)
        for target, p_adjusted in zip(there, adjusted, strict=True):
            rows.append(
                {
                    "norm": mode,
                    "baseline": baseline,
                    "target": target,
                    "label": labels[target],
                    "clips": int(sizes[target]),
                    "difference": intervals[target].value,
                    "low": intervals[target].low,
                    "high": intervals[target].high,
                    "p": p_values[target],
                    "p_adjusted": p_adjusted,
                    "marked": p_adjusted < 1 - LEVEL,
                }
            )
    names = ["norm", "baseline", "target", "label", "clips", "difference", "low", "high", "p", "p_adjusted", "marked"]
    return pd.DataFrame(rows, columns=names)


def _disagreements(found: Outcomes, clips: pd.DataFrame) -> pd.DataFrame:
    """Clips that the modes disagree on, those that fewest modes get right first."""
    shares = pd.DataFrame({mode: found.right(mode) for mode in found.probabilities})
    table = pd.concat([clips[["clip", "fold", "label", "source"]], shares], axis=1)
    hardest_first = table.assign(_right=shares.mean(axis=1)).sort_values(["_right", "clip"]).drop(columns="_right")
    differ = shares.max(axis=1) > shares.min(axis=1)
    return hardest_first[differ.loc[hardest_first.index]].reset_index(drop=True)
