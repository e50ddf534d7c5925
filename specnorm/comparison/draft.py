"""A comparison's parts put together into its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from specnorm.comparison import noop, population
from specnorm.comparison.bootstrap import LEVEL
from specnorm.comparison.document import (
    Dataset,
    Decision,
    Design,
    Difference,
    Document,
    Effect,
    Estimate,
    Mode,
    NoopCheck,
    Outlook,
    Pair,
    Sampling,
    cells_digest,
)
from specnorm.comparison.metrics import CALIBRATION_BINS, METRICS
from specnorm.comparison.outcomes import Outcomes
from specnorm.comparison.outlook import POWER
from specnorm.comparison.verdict import Verdict
from specnorm.datasets.naming import dataset_name
from specnorm.datasets.table import lacking
from specnorm.params import CompareParams, ProtocolParams
from specnorm.params.dataset import DatasetParams
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell


def make(
    verdict: Verdict,
    found: Outcomes,
    stored: Sequence[StoredCell],
    shards: Shards,
    check: NoopCheck,
    *,
    title: str,
    params: CompareParams,
    groups: str | None,
) -> Document:
    """Put the document together.

    Args:
        verdict: of the comparison.
        found: the predictions that it is of.
        stored: their cells.
        shards: the spectrograms that these were trained on.
        check: from :func:`noop_check`.
        title: from :func:`title_of`.
        params: of the comparison.
        groups: from :func:`specnorm.comparison.population.told_by`.
    """
    seeds = tuple(sorted({cell.key.seed for cell in stored}))
    folds = tuple(sorted({int(fold) for fold in found.folds}))
    absent = lacking(shards.clips)
    caveats = _incomplete({fold: absent[fold] for fold in folds if fold in absent})
    decision, variance, outlook = verdict.decision, verdict.variance, verdict.outlook
    foreseen = outlook.sentence(population.counted(outlook.recordings, groups))
    return Document(
        title=title,
        dataset=Dataset(
            digest=shards.dataset_digest,
            clips=len(shards.clips),
            classes=tuple(shards.classes),
            recordings=found.recording_count,
        ),
        design=Design(
            folds=folds,
            seeds=seeds,
            held_out_clips=len(found.targets),
            groups=groups,
            draws=verdict.draws,
            level=LEVEL,
            power=POWER,
            calibration_bins=CALIBRATION_BINS,
            chance=verdict.chance,
        ),
        sampling=Sampling(
            recordings=variance.pair,
            flips=variance.flips,
            runs=variance.runs,
            inflation=variance.inflation,
            freedom=variance.freedom,
            declared_pairs=int(verdict.pairs["declared"].sum()) if len(verdict.pairs) else 0,
        ),
        baseline=verdict.baseline,
        decision=Decision(
            state=decision.state,
            mode=decision.mode,
            sentence=decision.sentence,
            margin=params.margin,
            sure=params.sure,
            population=population.sentence(found, groups),
            outlook=None if foreseen is None else Outlook(sentence=foreseen, **asdict(outlook)),
        ),
        caveat=". ".join(caveats) or None,
        modes=tuple(
            _mode(str(norm), rows, verdict, stored) for norm, rows in verdict.modes.groupby("norm", sort=False)
        ),
        pairs=tuple(_pair(row) for row in verdict.pairs.to_dict("records")),
        noop=check,
    )


def noop_check(rows: pd.DataFrame, *, clips: int, fold: int) -> NoopCheck:
    """The document's part on the no-op check.

    Args:
        rows: from :func:`specnorm.comparison.noop.table`.
        clips: how many it was measured on.
        fold: held out of the training set that these are of.
    """
    effects = tuple(
        Effect.model_validate({"name": str(name), "sentence": noop.sentence(str(name), row), **row})
        for name, row in rows.to_dict("index").items()
    )
    share = effects[0].border_share if effects else None
    return NoopCheck(clips=clips, fold=fold, border_share=share, effects=effects)


def title_of(recipe: str, dataset: DatasetParams, protocol: ProtocolParams, shards: Shards) -> str:
    """What was compared, in a line."""
    return (
        f"Recipe {recipe} on {dataset_name(dataset)}: {len(shards.clips)} clips, {len(shards.classes)} classes, "
        f"held-out folds {', '.join(map(str, protocol.folds))}, seeds {', '.join(map(str, protocol.seeds))}"
    )


def _mode(norm: str, rows: pd.DataFrame, verdict: Verdict, stored: Sequence[StoredCell]) -> Mode:
    return Mode.model_validate(
        {
            "norm": norm,
            "cells": int(rows["cells"].iloc[0]),
            "sha256": cells_digest([cell for cell in stored if cell.key.norm == norm]),
            "near": verdict.decision.near[norm],
            "shortfall": verdict.decision.shortfall[norm],
            "calibration_floor": verdict.floors[norm],
            **{row["metric"]: {name: row[name] for name in Estimate.model_fields} for row in rows.to_dict("records")},
        }
    )


def _pair(row: Mapping[Any, Any]) -> Pair:
    flat = {name: row[name] for name in Pair.model_fields if name not in METRICS}
    return Pair.model_validate(
        flat | {metric: {name: row[f"{metric}_{name}"] for name in Difference.model_fields} for metric in METRICS}
    )


def _incomplete(absent: Mapping[int, tuple[str, ...]]) -> list[str]:
    """What a reader of the scores must know of every fold that lacks a class, each without a full stop.

    Accuracy, log loss and calibration error are means over the fold's clips and exist as ever. Macro F1 is the mean
    over the classes that are there (:data:`specnorm.comparison.metrics.METRICS`). There is no recall of a class that no
    held-out fold has.
    """
    return [
        f"Fold {fold} has no clip of {', '.join(map(repr, labels))}: its macro F1 is the mean over the classes that it "
        f"has, and none of its figures says anything of {'that class' if len(labels) == 1 else 'those classes'}"
        for fold, labels in absent.items()
    ]
