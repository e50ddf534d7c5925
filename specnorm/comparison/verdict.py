"""What a comparison says: figures with intervals, every pair in words, and one recommendation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from specnorm.comparison.metrics import METRICS, points
from specnorm.comparison.significance import (
    DRAWS,
    LEVEL,
    Bootstrap,
    Interval,
    Outcomes,
    PairTests,
    paired_tests,
)
from specnorm.normalization.fitted import FittedMode
from specnorm.normalization.identity import Identity
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from specnorm.training.key import CellKey


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


def outcomes(stored: Sequence[StoredCell], shards: Shards) -> Outcomes:
    """The predictions of cells that the comparison has found whole and complete, clip by clip."""
    by_key = {cell.key: cell for cell in stored}
    modes, seeds = dict.fromkeys(key.norm for key in by_key), dict.fromkeys(key.seed for key in by_key)
    clips = held_out_clips(stored, shards)
    folds = [int(fold) for fold in clips["fold"].unique()]
    recordings, _ = pd.factorize(clips["source"])
    return Outcomes(
        targets=clips["target"].to_numpy(np.int64),
        folds=clips["fold"].to_numpy(np.int64),
        recordings=recordings.astype(np.int64),
        probabilities={
            mode: np.stack(
                [np.concatenate([by_key[CellKey(mode, fold, seed)].probabilities for fold in folds]) for seed in seeds]
            )
            for mode in modes
        },
        total_clips=len(shards.clips),
    )


def held_out_clips(stored: Sequence[StoredCell], shards: Shards) -> pd.DataFrame:
    """The clips of the held-out folds, fold by fold in the order of their shards' rows."""
    folds = sorted({cell.key.fold for cell in stored})
    return pd.concat([shards.of_fold(fold) for fold in folds], ignore_index=True)


def simplest_first(fitted: Mapping[str, FittedMode]) -> list[str]:
    """Modes by how much must be kept and done to use them.

    The fewer values a mode has from training the simpler it is; among equals, one that leaves the spectrogram alone,
    and then one that leaves the waveform alone.
    """
    sizes = {mode: sum(int(np.size(values)) for values in each.state.values()) for mode, each in fitted.items()}
    return sorted(
        fitted, key=lambda mode: (sizes[mode], fitted[mode].kind != Identity.kind, fitted[mode].waveform != "raw")
    )


def compare(
    found: Outcomes, clips: pd.DataFrame, *, simplest: Sequence[str], baseline: str, draws: int = DRAWS
) -> Verdict:
    """Estimate, test, and say it.

    Args:
        found: from :func:`outcomes`.
        clips: from :func:`held_out_clips`.
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
        baseline, recommended, reason, _mode_table(modes, bootstrap), table,
        _class_table(clips, bootstrap, [mode for mode in modes if mode != baseline], baseline),
        _disagreements(found, clips), draws,
    )  # fmt: skip


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


def recommend(simplest: Sequence[str], pairs: pd.DataFrame) -> tuple[str, str]:
    """The simplest mode that nothing beats, and why, in words.

    Args:
        simplest: the modes from the simplest on.
        pairs: ``one``, ``other``, ``accuracy_difference``, ``distinguishable`` and ``detectable``.
    """
    beaten: dict[str, list[str]] = {}
    for row in pairs.to_dict("records"):
        if row["distinguishable"]:
            ends = (row["one"], row["other"])
            winner, loser = ends if float(row["accuracy_difference"]) > 0 else ends[::-1]
            beaten.setdefault(loser, []).append(winner)
    chosen = next(mode for mode in simplest if mode not in beaten)
    if not len(pairs):
        return chosen, f"{chosen} is the only mode here: nothing was compared"
    if not beaten:
        return (
            chosen,
            f"Use {chosen}: no mode beats another, and it is the simplest{_power(pairs['detectable'].dropna())}",
        )
    if chosen == simplest[0]:
        return chosen, f"Use {chosen}: it is the simplest mode, and nothing beats it"
    simpler = "; ".join(f"{' and '.join(beaten[mode])} beat{'s' * (len(beaten[mode]) == 1)} {mode}"
                        for mode in simplest[: simplest.index(chosen)])  # fmt: skip
    return chosen, f"Use {chosen}: it is the simplest mode that nothing beats ({simpler})"


def _power(detectable: pd.Series[float]) -> str:
    if not len(detectable):
        return ""
    least, most = (f"{points(value):.1f}" for value in (detectable.min(), detectable.max()))
    reach = f"{least} points or more" if least == most else f"{least} to {most} points or more, depending on the pair,"
    return f"; this design sees differences of {reach} and cannot tell smaller ones"


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
                {"norm": mode, "metric": metric, "mean": found.value, "deviation": deviation,
                 "low": found.low, "high": found.high, "cells": len(cells)}
            )  # fmt: skip
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
                    for name, value in (
                        ("difference", interval.value), ("low", interval.low), ("high", interval.high)
                    )
                },
                **vars(tested),
                "distinguishable": tested.distinguishable,
                "only_one_right": int(np.count_nonzero(right > wrong)),
                "only_other_right": int(np.count_nonzero(right < wrong)),
                "sentence": sentence(one, other, intervals["accuracy"], tested, len(pairs)),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _class_table(clips: pd.DataFrame, bootstrap: Bootstrap, modes: list[str], baseline: str) -> pd.DataFrame:
    labels = clips.drop_duplicates("target").set_index("target")["label"]
    sizes = clips["target"].value_counts()
    rows = [
        {"norm": mode, "baseline": baseline, "target": target, "label": labels[target], "clips": int(sizes[target]),
         "difference": interval.value, "low": interval.low, "high": interval.high}
        for mode in modes
        for target, interval in enumerate(bootstrap.by_class(mode, baseline))
    ]  # fmt: skip
    names = ["norm", "baseline", "target", "label", "clips", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def _disagreements(found: Outcomes, clips: pd.DataFrame) -> pd.DataFrame:
    """Clips that the modes disagree on, those that fewest modes get right first."""
    shares = pd.DataFrame({mode: found.right(mode) for mode in found.probabilities})
    table = pd.concat([clips[["clip", "fold", "label", "source"]], shares], axis=1)
    hardest_first = table.assign(_right=shares.mean(axis=1)).sort_values(["_right", "clip"]).drop(columns="_right")
    differ = shares.max(axis=1) > shares.min(axis=1)
    return hardest_first[differ.loc[hardest_first.index]].reset_index(drop=True)
