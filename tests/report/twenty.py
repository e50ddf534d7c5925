"""A made-up comparison of twenty modes in seven families, for pictures that must bear so many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

FAMILIES = {
    "none": "identity",
    "waveform": "identity",
    "global_raw": "fitted",
    "channel_raw": "fitted",
    "global": "fitted",
    "channel": "fitted",
    "robust": "fitted",
    "quantile": "fitted",
    "quantile_channel": "fitted",
    "per_clip": "clip",
    "per_clip_channel": "clip",
    "peak": "clip",
    "sliding_short": "window",
    "sliding_long": "window",
    "exponential": "window",
    "pcen": "energy",
    "pcen_trained": "energy",
    "relative_floor": "floor",
    "whitened": "rotation",
    "whitened_shrunk": "rotation",
}
LABELS = [f"class {index}" for index in range(10)]
_CELLS = 5


def cells(families: Mapping[str, str] = FAMILIES) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [
        {
            "norm": norm,
            "fold": fold,
            "seed": 0,
            "accuracy": 0.5 + 0.01 * place + 0.04 * generator.standard_normal(),
            "train_seconds": 60.0 + place,
            "total_seconds": 70.0 + place,
            "device": "cpu",
            "precision": "bf16",
        }
        for place, norm in enumerate(families)
        for fold in range(1, 1 + _CELLS)
    ]
    return pd.DataFrame(rows)


def modes(families: Mapping[str, str] = FAMILIES) -> pd.DataFrame:
    found = cells(families).groupby("norm", sort=False)["accuracy"].mean().reset_index(name="mean")
    return found.assign(low=found["mean"] - 0.04, high=found["mean"] + 0.04)


def pairs(families: Mapping[str, str] = FAMILIES) -> pd.DataFrame:
    means = modes(families).set_index("norm")["mean"]
    rows = [
        {
            "one": other,
            "other": one,
            "declared": _declared(one, other, families),
            "accuracy_difference": means[other] - means[one],
            "accuracy_low": means[other] - means[one] - 0.06,
            "accuracy_high": means[other] - means[one] + 0.06,
            "p_adjusted": 0.01 if means[other] - means[one] > 0.06 else 0.6,
            "detectable": 0.07,
            "distinguishable": _declared(one, other, families) and bool(means[other] - means[one] > 0.06),
        }
        for one, other in combinations(families, 2)
    ]
    return pd.DataFrame(rows)


def curves(families: Mapping[str, str] = FAMILIES) -> pd.DataFrame:
    rows = [
        {
            "norm": norm,
            "fold": fold,
            "epoch": epoch,
            "train_loss": 2.3 * np.exp(-epoch / (4 + place / 4)),
            "valid_loss": 2.3 * np.exp(-epoch / (8 + place / 4)) + 0.05 * fold,
            "valid_accuracy": (0.4 + 0.02 * place) * (1 - np.exp(-epoch / 4)) + 0.01 * fold,
        }
        for place, norm in enumerate(families)
        for fold in range(1, 1 + _CELLS)
        for epoch in range(1, 21)
    ]
    return pd.DataFrame(rows)


def classes(families: Mapping[str, str] = FAMILIES, labels: Sequence[str] = LABELS) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    for norm in list(families)[1:]:
        for target, label in enumerate(labels):
            value = 0.2 * generator.standard_normal()
            rows.append(
                {
                    "norm": norm,
                    "baseline": "none",
                    "target": target,
                    "label": label,
                    "clips": 30,
                    "difference": value,
                    "low": value - 0.15,
                    "high": value + 0.15,
                    "marked": abs(value) > 0.35,
                }
            )
    return pd.DataFrame(rows)


def survivals(families: Mapping[str, str] = FAMILIES) -> pd.DataFrame:
    names = [f"{what}_{place}" for what in ("effect", "padded", "padding") for place in ("inside", "border")]
    values = 10.0 ** np.random.default_rng(0).uniform(-4, 0, (len(families) - 1, len(names)))
    return pd.DataFrame(values, [f"{norm} against waveform" for norm in list(families)[1:]], names)


def _declared(one: str, other: str, families: Mapping[str, str]) -> bool:
    return one == next(iter(families)) or one.removesuffix("_raw") == other.removesuffix("_raw")
