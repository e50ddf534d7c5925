"""The paired difference of two runs of the same cells in other precisions, with its interval, as Markdown.

`python -m benchmarks.precision BF16/data/cells FP32/data/cells` after the same `dvc exp run` in two clones, but for
`-S train.precision=bf16` and `-S train.precision=fp32`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from specnorm.training import cells, key


def table(folder: Path) -> pd.DataFrame:
    """A row a cell: accuracy, loss, precision, and the predicted class of each clip."""
    stored = [cells.read(path.parent) for path in sorted(folder.glob(f"*/fold-*/seed-*/{key.METRICS_FILE}"))]
    rows = [
        {**cell.metrics, "precision": cell.run["precision"], "predicted": cell.probabilities.argmax(axis=1)}
        for cell in stored
    ]
    return pd.DataFrame(rows).set_index(["norm", "fold", "seed"]).sort_index()


def interval(differences: NDArray[np.float64]) -> str:
    """Mean and Student's 95 % interval of the mean."""
    mean, error = differences.mean(), stats.sem(differences)
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"


def main(argv: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("folders", nargs=2, type=Path, metavar="CELLS")
    one, other = (table(folder) for folder in parser.parse_args(argv).folders)
    if list(one.index) != list(other.index):
        raise SystemExit("the two runs have different cells")
    names = [str(run["precision"].unique().item()) for run in (one, other)]
    print(f"| norm | fold | seed | accuracy, {names[0]} | accuracy, {names[1]} | loss, {names[0]} | loss, {names[1]} |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for which, left in one.iterrows():
        right = other.loc[which]
        print(
            f"| {' | '.join(map(str, which))} | {left.accuracy:.4f} | {right.accuracy:.4f} | {left.loss:.4f} "
            f"| {right.loss:.4f} |"
        )
    print(f"\n| {names[0]} less {names[1]} | mean and 95 % interval over cells | over folds |\n|---|---|---|")
    for column in ("accuracy", "loss"):
        difference = one[column] - other[column]
        folds = difference.groupby("fold").mean()  # cells of one fold share their clips: only folds are independent
        print(
            f"| {column} | {interval(difference.to_numpy())}, n = {len(difference)} "
            f"| {interval(folds.to_numpy())}, n = {len(folds)} |"
        )
    differ = sum((left != right).sum() for left, right in zip(one["predicted"], other["predicted"], strict=True))
    print(f"\n{differ} of {one['clips'].sum()} predictions differ.")
    for name, run in zip(names, (one, other), strict=True):
        print(f"\n{name}: accuracy {run.accuracy.mean():.4f}, deviation over cells {run.accuracy.std():.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
