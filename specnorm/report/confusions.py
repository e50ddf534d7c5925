"""What the modes take for what most often."""

from __future__ import annotations

import pandas as pd

MOST = 10  # pairs


def most_confused(confusion: pd.DataFrame) -> pd.DataFrame:
    """The pairs of classes that are confused most, on average over the modes.

    Args:
        confusion: a row a mode, actual and predicted class, from :mod:`specnorm.comparison.checked`.

    Returns:
        A row a pair, the most confused first: ``actual``, ``predicted``, ``mean`` (the share of the actual class's
        clips, a mean over modes), ``clips`` (of all modes and seeds), ``least`` and ``most`` (of a mode), and
        ``least_mode`` and ``most_mode``, the first of those. No pair that no mode confuses.
    """
    wrong = confusion[(confusion["actual"] != confusion["predicted"]) & confusion["share"].notna()]
    pairs = wrong.groupby(["actual", "predicted"], sort=False)
    found = pairs["share"].agg(mean="mean", least="min", most="max").join(pairs["clips"].sum())
    for name, place in (("least_mode", pairs["share"].idxmin()), ("most_mode", pairs["share"].idxmax())):
        found[name] = confusion.loc[place, "norm"].to_numpy()
    most = found[found["mean"] > 0].sort_values("mean", ascending=False, kind="stable").head(MOST)
    return pd.DataFrame(most.reset_index())
