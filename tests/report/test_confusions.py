"""The pairs of classes that are confused most."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from specnorm.report.confusions import MOST, most_confused


def confusion(shares: dict[tuple[str, str, str], float]) -> pd.DataFrame:
    rows = [(norm, actual, predicted, 4, share) for (norm, actual, predicted), share in shares.items()]
    return pd.DataFrame(rows, columns=["norm", "actual", "predicted", "clips", "share"])


def test_the_mean_over_modes_orders_and_extremes_are_named() -> None:
    found = most_confused(
        confusion(
            {
                ("none", "cat", "cat"): 0.9,
                ("none", "cat", "dog"): 0.1,
                ("none", "dog", "cat"): 0.5,
                ("global", "cat", "dog"): 0.2,
                ("global", "dog", "cat"): 0.25,
                ("global", "rain", "dog"): 0.0,
            }
        )
    )
    assert list(zip(found["actual"], found["predicted"], strict=True)) == [("dog", "cat"), ("cat", "dog")]
    assert list(found["mean"]) == pytest.approx([0.375, 0.15])
    assert list(found["least_mode"]) == ["global", "none"]
    assert list(found["most_mode"]) == ["none", "global"]
    assert list(found["clips"]) == [8, 8]


def test_a_class_that_no_fold_has_is_taken_for_nothing_and_many_pairs_are_cut() -> None:
    shares = {("none", f"class {place}", "cat"): place / 40 for place in range(1, 30)}
    found = most_confused(confusion(shares | {("none", "absent", "cat"): math.nan}))
    assert list(found["actual"]) == [f"class {place}" for place in range(29, 29 - MOST, -1)]
