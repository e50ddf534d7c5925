"""The verdict as one typed document: what ``verdict.json`` holds and ``docs/verdict.md`` describes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from specnorm.comparison.decision import State
from specnorm.files import fingerprint, json_text
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
    """The whole: made by ``comparison.draft``, printed by ``--json``, read by the report and by the tracking."""

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


def cells_digest(cells: Sequence[StoredCell]) -> str:
    """Of cells' content: what each was computed from, its scores, and the digests of its other files."""
    return fingerprint([cell.metrics for cell in cells])
