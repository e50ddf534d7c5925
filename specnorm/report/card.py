"""The decision card: what to do in words, how good that is, where it stands among the modes, and code that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from specnorm.comparison.document import Difference, Document, Pair
from specnorm.comparison.document import Mode as Scored
from specnorm.comparison.metrics import margin_shown, probability_shown
from specnorm.normalization.base import kind_named
from specnorm.params import WAVEFORMS, LinearParams, MelParams, NormParams
from specnorm.report import formats, usage

_WAVEFORMS = {"raw": "raw waveform", "standardized": "waveform standardised per clip"}


@dataclass(frozen=True)
class Fact:
    """A figure with what it is; ``interval`` in words."""

    name: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class Spot:
    """A mode in its place, with what it scored and its options; ``marked`` is the one that the card is about."""

    norm: str
    words: str
    marked: bool


@dataclass(frozen=True)
class GridRow:
    """What is done to the spectrogram, and the modes that do it, by waveform variant."""

    words: str
    places: Sequence[Sequence[Spot]]


@dataclass(frozen=True)
class Card:
    """What stands on top of the page.

    Attributes:
        state: of the decision.
        title: what to do, in a few words.
        mode: the one that it is about; none where nothing was learned.
        words: what that mode does.
        facts: how good it is.
        waveforms: the grid's columns.
        grid: its rows, the simplest first.
        code: that does what the mode does.
    """

    state: str
    title: str
    mode: str | None
    words: str | None
    facts: Sequence[Fact]
    waveforms: Sequence[str]
    grid: Sequence[GridRow]
    code: str | None


def card(document: Document, norm: Mapping[str, NormParams], front_end: LinearParams | MelParams) -> Card:
    """The card of a verdict.

    Args:
        document: the verdict's.
        norm: the modes that were compared, as the parameters define them.
        front_end: the parameters of their spectrograms.
    """
    decision = document.decision
    mode = decision.mode
    return Card(
        state=decision.state,
        title=_title(document),
        mode=mode,
        words=None if mode is None else in_words(norm[mode]),
        facts=() if mode is None else _facts(document, mode),
        waveforms=[_WAVEFORMS[waveform] for waveform in WAVEFORMS],
        grid=_grid(document, norm),
        code=None if mode is None else usage.code(norm[mode], front_end),
    )


def in_words(mode: NormParams) -> str:
    """What a mode does: its description, or what its parts are known to do.

    >>> print(in_words(NormParams(kind="identity", waveform="standardized")))
    Each clip's waveform is standardised. What is done to the spectrogram: Leaves the spectrogram as it is.
    """
    if mode.description:
        return mode.description
    waveform = (
        "Each clip's waveform is standardised" if mode.waveform == "standardized" else "The waveform keeps its level"
    )
    return f"{waveform}. What is done to the spectrogram: {kind_named(mode.kind).sentence()}"


def _title(document: Document) -> str:
    mode = document.decision.mode
    match document.decision.state:
        case "decided":
            return f"Use {mode}"
        case "undecided":
            return f"Until more is run, {mode} loses least"
        case "not compared":
            return f"{mode} alone: nothing was compared"
        case "nothing learned":
            return "No mode is better than a guess"


def _facts(document: Document, mode: str) -> list[Fact]:
    found = document.mode(mode)
    chance = f"accuracy of {mode}; {formats.percent(document.design.chance)} would be chance"
    facts = [Fact(chance, f"{formats.in_points(found.accuracy.mean)} %", formats.interval(found.accuracy))]
    other = _rival(document, mode)
    if other is None:
        return facts
    said = f"points more than {other.norm}, {'the baseline' if other.norm == document.baseline else 'the next best'}"
    near = f"probability to be within {margin_shown(document.decision.margin)} of the best"
    behind = "points behind the best on average, as far as is known"
    return [
        *facts,
        _lead(document, mode, other.norm, said),
        Fact(near, probability_shown(found.near)),
        Fact(behind, formats.in_points(found.shortfall)),
    ]


def _rival(document: Document, mode: str) -> Scored | None:
    """The baseline; of the baseline itself, the best of the others."""
    others = [each for each in document.modes if each.norm != mode]
    against = [each for each in others if each.norm == document.baseline]
    return max(against or others, key=lambda each: each.accuracy.mean or 0.0, default=None)


def _lead(document: Document, mode: str, other: str, said: str) -> Fact:
    pair = next(pair for pair in document.pairs if {pair.one, pair.other} == {mode, other})
    found = pair.accuracy if pair.one == mode else _turned(pair)
    return Fact(said, formats.change(found.difference), formats.interval(found))


def _turned(pair: Pair) -> Difference:
    def negative(value: float | None) -> float | None:
        return None if value is None else -value

    found = pair.accuracy
    return Difference(difference=negative(found.difference), low=negative(found.high), high=negative(found.low))


def _grid(document: Document, norm: Mapping[str, NormParams]) -> list[GridRow]:
    compared = {mode.norm: norm[mode.norm] for mode in document.modes}
    kinds = sorted({each.kind for each in compared.values()}, key=lambda kind: (kind_named(kind).cost, kind))
    return [
        GridRow(
            kind_named(kind).sentence().removesuffix("."),
            [
                [
                    _spot(document, name, each)
                    for name, each in compared.items()
                    if (each.kind, each.waveform) == (kind, waveform)
                ]
                for waveform in WAVEFORMS
            ],
        )
        for kind in kinds
    ]


def _spot(document: Document, name: str, mode: NormParams) -> Spot:
    baseline = ["baseline"] if name == document.baseline and len(document.modes) > 1 else []
    options = [f"{option} {value}" for option, value in sorted(mode.options.items())]
    accuracy = f"{formats.in_points(document.mode(name).accuracy.mean)} %"
    return Spot(name, ", ".join([accuracy, *options, *baseline]), name == document.decision.mode)
