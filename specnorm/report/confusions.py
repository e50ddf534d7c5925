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
    keys, modes = ["actual", "predicted"], list(dict.fromkeys(confusion["norm"]))
    mean = wrong.groupby(keys, sort=False)["share"].sum() / len(modes)  # a mode without the pair has none of it
    most = mean[mean > 0].sort_values(ascending=False, kind="stable").head(MOST).rename("mean")
    own = wrong.set_index(keys).loc[lambda rows: rows.index.isin(most.index)].reset_index()
    shares = own.pivot_table(index=keys, columns="norm", values="share", sort=False).reindex(columns=modes).fillna(0)
    shares = shares.reindex(most.index)
    return pd.DataFrame(
        most.to_frame()
        .assign(
            least=shares.min(axis=1),
            most=shares.max(axis=1),
            clips=own.groupby(keys)["clips"].sum(),
            least_mode=shares.idxmin(axis=1),
            most_mode=shares.idxmax(axis=1),
        )
        .reset_index()
    )
