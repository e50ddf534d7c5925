"""How far the training is: which cell of how many, how long the others take, and the accuracies that there are.

Only finished cells that belong to the parameters count, wherever they come from: this run, one that was interrupted, or
DVC's cache. What is told here is told, and goes into no output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import command, finished, places, share
from specnorm.errors import SpecnormError
from specnorm.params import Params
from specnorm.training.key import FORMAT, METRICS_FILE, RUN_FILE, CellKey

if TYPE_CHECKING:
    from specnorm.shards.store import Shards
    from specnorm.training.loop import EpochRow

_TABLE = "fp32"  # the precision that a cell's predictions, and with them all tables, are computed in


@dataclass(frozen=True)
class Done:
    """A finished cell: its accuracy (a share), and how long its process worked."""

    accuracy: float
    seconds: float


def begin(params: Params, key: CellKey, reason: str, *, of: Shards) -> None:
    """Say which cell begins, how long all that is left takes, and how it is trained.

    Args:
        params: all parameters.
        key: the cell.
        reason: why it is trained on this device and in this precision.
        of: the spectrograms.
    """
    if not share.is_given(os.environ):  # of several at a time their starter says it
        done = [cell for other, cell in _belonging(params, of=of).items() if other != key]
        left = len(keys(params)) - len(done)
        seconds = [cell.seconds + _startup_s() for cell in done]
        command.say(line(params, key, place=len(done) + 1, left_s=_mean(seconds) * left if done else None))
    command.say(reason)


def epochs(count: int, precision: str) -> Callable[[EpochRow], None]:
    """What prints a line an epoch.

    Args:
        count: how many epochs there are.
        precision: of the training. The last epoch's figures are the cell's, in every table, and computed in float32;
            where the epochs before were not, the last line says so.
    """
    last = time.perf_counter()

    def report(row: EpochRow) -> None:
        nonlocal last
        now = time.perf_counter()
        within = ""
        if row["epoch"] == count:
            before = "" if precision == _TABLE else f" in {_TABLE}, before in {precision}"
            within = f"{before} (the tables' number)"
        command.say(
            f"epoch {row['epoch']:.0f}/{count}  loss {row['train_loss']:.3f}  held-out loss {row['valid_loss']:.3f}  "
            f"accuracy {row['valid_accuracy']:.3f}{within}  {now - last:.1f} s"
        )
        last = now

    return report


def end(params: Params, *, of: Shards) -> None:
    """Show what a finished cell scored among the others.

    Args:
        params: all parameters.
        of: the spectrograms.
    """
    if not share.is_given(os.environ):
        command.say(table(params, _belonging(params, of=of)))


def keys(params: Params) -> list[CellKey]:
    """The cells that the parameters name, mode by mode."""
    return [CellKey(*names) for names in product(params.norm, params.protocol.folds, params.protocol.seeds)]


def read(cells: Collection[CellKey]) -> dict[CellKey, Done]:
    """Those of the cells that are finished."""
    return {key: done for key, _, done in _stored(cells)}


def accuracy(cell: Path) -> float | None:
    """The accuracy of the cell in a folder; ``None`` where none is."""
    with suppress(SpecnormError, KeyError, TypeError, ValueError):
        return _read(cell)[1].accuracy
    return None


def line(params: Params, key: CellKey, *, place: int, left_s: float | None) -> str:
    """Which cell begins, and how long all that is left takes, where that is known.

    Args:
        params: all parameters.
        key: the cell.
        place: how many cells are done or under way with it.
        left_s: seconds for the cells that are not done.
    """
    left = "how long the others take is known after it" if left_s is None else f"about {duration(left_s)} left"
    return f"cell {place} of {len(keys(params))} ({key.norm}, fold {key.fold}, seed {key.seed}), {left}"


def table(params: Params, done: Mapping[CellKey, Done]) -> str:
    """Accuracies in per cent by mode and held-out fold, a dot where there is none yet.

    Args:
        params: all parameters.
        done: the finished cells. Of several seeds the mean is shown, with their number until all of them are there.
    """
    folds, seeds = params.protocol.folds, len(params.protocol.seeds)
    rows = [["accuracy (%)", *(f"fold {fold}" for fold in folds), "mean"]]
    for mode in params.norm:
        scores = [
            [cell.accuracy for key, cell in done.items() if (key.norm, key.fold) == (mode, fold)] for fold in folds
        ]
        whole = all(len(each) == seeds for each in scores)
        mean = f"{100 * _mean([_mean(each) for each in scores]):.1f}" if whole else "."
        rows.append([mode, *(_share(each, seeds) for each in scores), mean])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> [duration(seconds) for seconds in (3, 47, 840, 8000, 100000)]
    ['3 s', '50 s', '14 min', '2.2 h', '28 h']
    """
    if seconds < 10:
        return f"{seconds:.0f} s"
    if seconds < 95:
        return f"{round(seconds / 10) * 10} s"
    if seconds < 95 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36000 else f"{seconds / 3600:.0f} h"


def _belonging(params: Params, *, of: Shards) -> dict[CellKey, Done]:
    """The finished cells of these parameters: what else lies in their folders is of an earlier run."""
    found = {}
    for key, metrics, cell in _stored(keys(params)):
        with suppress(OSError):  # a mode that is not fitted yet
            expected = finished.origin(params, key, dataset=of.dataset_digest)
            if {name: metrics.get(name) for name in expected} == expected:
                found[key] = cell
    return found


def _stored(cells: Collection[CellKey]) -> Iterator[tuple[CellKey, dict[str, Any], Done]]:
    """The cells that are there, with what they say that they were computed from.

    One that cannot be read counts as not there: whoever needs it says why, and a line for people ends no training.
    """
    for key in cells:
        with suppress(SpecnormError, KeyError, TypeError, ValueError):
            metrics, done = _read(places.cell_folder(key))
            yield key, metrics, done


def _read(cell: Path) -> tuple[dict[str, Any], Done]:
    from specnorm.files import read_sealed

    metrics, run = (read_sealed(cell / name, format=FORMAT) for name in (METRICS_FILE, RUN_FILE))
    return metrics, Done(float(metrics["accuracy"]), float(run["total_seconds"]))


def _share(accuracies: list[float], seeds: int) -> str:
    if not accuracies:
        return "."
    shown = f"{100 * _mean(accuracies):.1f}"
    return shown if len(accuracies) == seeds else f"{shown} ({len(accuracies)} of {seeds})"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _startup_s() -> float:
    """How long this process has taken to import what it needs, as every cell's does."""
    import psutil

    created: float = psutil.Process().create_time()
    return time.time() - created
