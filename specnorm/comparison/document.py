"""The verdict as one typed document: what ``verdict.json`` holds and ``docs/verdict.md`` describes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict

from specnorm.comparison import noop, population
from specnorm.comparison.bootstrap import LEVEL
from specnorm.comparison.decision import State
from specnorm.comparison.metrics import CALIBRATION_BINS, METRICS
from specnorm.comparison.outcomes import Outcomes
from specnorm.comparison.outlook import POWER
from specnorm.comparison.verdict import Verdict
from specnorm.datasets.naming import dataset_name
from specnorm.datasets.table import lacking
from specnorm.files import fingerprint, json_text
from specnorm.params import CompareParams, ProtocolParams
from specnorm.params.dataset import DatasetParams
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


_Figure = Annotated[float | None, BeforeValidator(_finite)]  # NaN, a figure that does not exist, is JSON's null


class _Part(BaseModel):
    # A later version may add fields, so a reader lets those pass that it does not know.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Dataset(_Part):
    """The data set, and how many source recordings of it were held out; ``classes`` in the order of the targets."""

    digest: str
    clips: int
    classes: tuple[str, ...]
    recordings: int


class Design(_Part):
    """How the comparison was made, and with which constants."""

    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    held_out_clips: int
    groups: str | None  # what clips of one recording were told by; none where each clip stands for itself
    draws: int  # of the bootstrap
    level: float  # of the intervals
    power: float  # that a detectable difference is found with
    calibration_bins: int
    chance: float  # accuracy of always guessing the most frequent class


class Sampling(_Part):
    """How far accuracies would move with other recordings and training runs (shares squared, means over pairs)."""

    recordings: _Figure  # variance of a difference from recordings, each seed's runs as they are
    flips: _Figure  # the part of it that is each run's own for each recording; none with one seed
    runs: _Figure  # what whole runs move beyond that
    inflation: float  # phi: by how much the variance is larger than recordings alone make it
    freedom: _Figure  # degrees of freedom of a difference; none for one run of one fold
    declared_pairs: int


class Outlook(_Part):
    """The smallest differences that this design and larger ones find in four of five cases."""

    sentence: str
    now: _Figure
    seeds: int
    by_seeds: _Figure
    at_best: bool
    recordings: int
    by_recordings: _Figure


class Decision(_Part):
    """What to do; ``mode`` is the one to use, or that loses least until it is decided, or none."""

    state: State
    mode: str | None
    sentence: str
    margin: float
    sure: float
    population: str | None  # for whom the answer speaks
    outlook: Outlook | None


class Estimate(_Part):
    """A figure of a mode: its mean over cells, the interval of that, and its deviation over cells."""

    mean: _Figure
    low: _Figure
    high: _Figure
    deviation: _Figure


class Mode(_Part):
    """What a mode's cells scored; ``sha256`` is the digest of their content."""

    norm: str
    cells: int
    sha256: str
    near: float  # probability to be within the margin of the best
    shortfall: float  # expected distance from the best
    accuracy: Estimate
    f1_macro: Estimate
    log_loss: Estimate
    calibration_error: Estimate
    calibration_floor: float  # the calibration error of these confidences if they were perfectly calibrated


class Difference(_Part):
    """A figure of one mode less that of another, with its interval."""

    difference: _Figure
    low: _Figure
    high: _Figure


class Pair(_Part):
    """Two modes: the differences ``one`` less ``other``, the tests of that in accuracy, and both in words."""

    one: str
    other: str
    sentence: str
    declared: bool  # whether the comparison asked about it; the others are explored
    distinguishable: bool
    accuracy: Difference
    f1_macro: Difference
    log_loss: Difference
    calibration_error: Difference
    standard_error: float  # of the difference in accuracy
    p: _Figure  # none for a pair that was explored
    p_adjusted: _Figure
    detectable: _Figure
    p_same_networks: _Figure  # the same trained networks, new recordings
    p_corrected_t: _Figure
    only_one_right: int
    only_other_right: int


class Effect(_Part):
    """What the first normalisation layer leaves of a mode: a row of :func:`specnorm.comparison.noop.table`."""

    name: str
    sentence: str
    effect_inside: _Figure  # none where a picture is so small that all of it sees padding, or none of it
    effect_border: _Figure
    padded_inside: _Figure
    padded_border: _Figure
    padding_inside: _Figure
    padding_border: _Figure
    border_share: float


class NoopCheck(_Part):
    """The effects, and on how many training clips of which held-out fold's training set they were measured."""

    clips: int
    fold: int
    border_share: float | None  # of the layer's positions; none where no mode has an effect
    effects: tuple[Effect, ...]


class Document(_Part):
    """The whole: made by :func:`make`, printed by ``--json``, read by the report and by the tracking."""

    format: Literal[2] = 2
    title: str
    dataset: Dataset
    design: Design
    sampling: Sampling
    baseline: str
    decision: Decision
    caveat: str | None
    modes: tuple[Mode, ...]
    pairs: tuple[Pair, ...]
    noop: NoopCheck

    @property
    def recommended(self) -> str | None:
        """The mode to use, where that is decided."""
        return self.decision.mode if self.decision.state == "decided" else None

    def answer(self) -> list[str]:
        """The first sentences, each without a full stop: what to do, what would settle it, what to bear in mind."""
        decision = self.decision
        settles = decision.outlook if decision.state in ("undecided", "decided") else None
        found = [decision.sentence, settles and settles.sentence, decision.population, self.caveat]
        return [sentence for sentence in found if sentence]

    def mode(self, norm: str) -> Mode:
        """The mode of that name, which is one of them."""
        return next(mode for mode in self.modes if mode.norm == norm)

    def to_json(self) -> str:
        """The text of ``verdict.json``; the same document gives the same bytes."""
        return json_text(self.model_dump(mode="json"))


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
    foreseen = outlook.sentence()
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


def cells_digest(cells: Sequence[StoredCell]) -> str:
    """Of cells' content: what each was computed from, its scores, and the digests of its other files."""
    return fingerprint([cell.metrics for cell in cells])


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
