"""The tables of the page, by what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from specnorm.comparison.document import Document, Effect, Mode, Pair
from specnorm.comparison.metrics import margin_shown, p_shown, probability_shown
from specnorm.report import formats
from specnorm.report.confusions import most_confused
from specnorm.report.listing import Column, Entry, Listing, Row, carried, difference, estimate, figure, mode
from specnorm.report.style import short

_MOST = 40  # clips, and classes of modes, that the page shows; their files have all
_LETTERS = 60  # of a label or a file's name


def listings(document: Document, frames: Mapping[str, pd.DataFrame]) -> dict[str, Listing]:
    """All tables of the page.

    Args:
        document: the verdict's.
        frames: what the CSV files hold, by their names without the ending.
    """
    return {
        "modes": modes(document, frames["summary"]),
        "pairs": pairs(document, frames["differences"]),
        "classes": classes(frames["classes"]),
        "disagreements": disagreements(document, frames["disagreements"]),
        "noop": effects(document),
        "noop-numbers": effect_sizes(document),
        "confusions": confusions(frames["confusion"]),
        "cells": cells(frames["cells"]),
    }


def modes(document: Document, frame: pd.DataFrame) -> Listing:
    """A row a mode; the one that is decided for is chosen."""
    within = f"within {margin_shown(document.decision.margin)} of the best"
    titles = ["accuracy (%)", "deviation", within, "behind the best (points)", "macro F1 (%)"]
    titles += ["log loss (nats)", "calibration error (%)", "of that by chance"]

    def row(found: Mode) -> Row:
        deviation = found.accuracy.deviation
        entries = [
            mode(found.norm),
            estimate(found.accuracy),
            figure(deviation, formats.in_points(deviation)),
            figure(found.near, probability_shown(found.near)),
            figure(found.shortfall, formats.in_points(found.shortfall)),
            estimate(found.f1_macro),
            estimate(found.log_loss, share=False),
            estimate(found.calibration_error),
            figure(found.calibration_floor, formats.in_points(found.calibration_floor)),
        ]
        return Row(entries, chosen=found.norm == document.recommended)

    chosen = "; the recommended one is shaded" if document.recommended else ""
    rows = [row(found) for found in document.modes]
    return _of_file("summary", frame, f"Every figure by mode{chosen}", [Column("mode"), *_numbers(titles)], rows)


def pairs(document: Document, frame: pd.DataFrame) -> Listing:
    """A row a pair, those first that the comparison asks about."""
    titles = ["accuracy", "p", "p, adjusted", "p, same networks", "p, by t-test", "seen from", "macro F1", "log loss"]
    titles += ["calibration error", "clips"]

    def row(pair: Pair) -> Row:
        entries = [
            Entry(f"{pair.one} less {pair.other}"),
            difference(pair.accuracy),
            *[
                figure(value, formats.p(value))
                for value in (pair.p, pair.p_adjusted, pair.p_same_networks, pair.p_corrected_t)
            ],
            figure(pair.detectable, formats.in_points(pair.detectable)),
            difference(pair.f1_macro),
            difference(pair.log_loss, share=False),
            difference(pair.calibration_error),
            figure(pair.only_one_right - pair.only_other_right, f"{pair.only_one_right} : {pair.only_other_right}"),
        ]
        return Row(entries, chosen=pair.distinguishable)

    columns = [Column("pair"), *_numbers(titles)]
    rows = [row(pair) for pair in sorted(document.pairs, key=lambda pair: not pair.declared)]
    return _of_file("differences", frame, "Every pair of modes; shaded: one beats the other", columns, rows)


def classes(frame: pd.DataFrame) -> Listing:
    """The largest differences of a class and a mode, those that stand after correction first."""
    size = frame["difference"].abs()
    largest = frame.assign(_size=size).sort_values(["marked", "_size"], ascending=False, kind="stable").head(_MOST)
    columns = [
        Column("class"),
        Column("mode"),
        *_numbers(["clips", "points more than the baseline", "p", "p, adjusted"]),
    ]
    rows = [
        Row(
            [
                Entry(short(row["label"], _LETTERS)),
                mode(row["norm"]),
                figure(row["clips"], str(row["clips"])),
                figure(
                    row["difference"],
                    formats.change(row["difference"]),
                    f"{formats.change(row['low'])} to {formats.change(row['high'])}",
                ),
                figure(row["p"], p_shown(row["p"])),
                figure(row["p_adjusted"], p_shown(row["p_adjusted"])),
            ],
            chosen=row["marked"],
        )
        for row in largest.to_dict("records")
    ]
    caption = f"{_first(rows, frame, 'differences by class')}; shaded: stands after correction"
    return _of_file("classes", frame, caption, columns, rows)


def disagreements(document: Document, frame: pd.DataFrame) -> Listing:
    """Clips that some modes get right and others wrong, the hardest first."""
    names = [found.norm for found in document.modes]

    def row(clip: Mapping[Any, Any]) -> Row:
        shares = {name: float(clip[name]) for name in names}
        some = [f"{name} (in {formats.percent(share, 0)} of seeds)" for name, share in shares.items() if 0 < share < 1]
        right = [*(name for name, share in shares.items() if share == 1), *some]
        wrong = [name for name, share in shares.items() if share == 0]
        return Row(
            [
                Entry(short(str(clip["clip"]), _LETTERS)),
                Entry(short(str(clip["label"]), _LETTERS)),
                Entry(str(clip["fold"])),
                Entry(", ".join(right), order=sum(shares.values())),
                Entry(", ".join(wrong), order=-sum(shares.values())),
            ]
        )

    rows = [row(clip) for clip in frame.head(_MOST).to_dict("records")]
    columns = [Column("clip"), Column("class"), Column("fold", "number")]
    columns += [Column("right", "names"), Column("wrong", "names")]
    return _of_file("disagreements", frame, _first(rows, frame, "clips that modes disagree on"), columns, rows)


def effects(document: Document) -> Listing:
    """What is left of each mode, in three words: what its sentence says before its figures."""
    rows = [Row([Entry(effect.name), Entry(_found(effect))]) for effect in document.noop.effects]
    return Listing("What is left of a mode behind the first layer", [Column("effect"), Column("found")], rows)


def effect_sizes(document: Document) -> Listing:
    """The figures of the no-op check."""
    titles = ["as it is, inside", "at the border", "padded with the mean, inside", "at the border"]
    titles += ["of that padding alone, inside", "at the border"]
    rows = [
        Row(
            [
                Entry(effect.name),
                *[
                    figure(value, formats.ABSENT if value is None else f"{value:.2g}")
                    for value in (
                        effect.effect_inside,
                        effect.effect_border,
                        effect.padded_inside,
                        effect.padded_border,
                        effect.padding_inside,
                        effect.padding_border,
                    )
                ],
            ]
        )
        for effect in document.noop.effects
    ]
    caption = "By how much the layer's outputs differ, in their deviations"
    return Listing(caption, [Column("effect"), *_numbers(titles)], rows)


def confusions(frame: pd.DataFrame) -> Listing:
    """The pairs of classes that are confused most."""
    found = most_confused(frame)
    titles = ["of its clips (%)", "at least", "at most"]
    rows = [
        Row(
            [
                Entry(short(row["actual"], _LETTERS)),
                Entry(short(row["predicted"], _LETTERS)),
                figure(row["mean"], formats.in_points(row["mean"])),
                figure(row["least"], formats.in_points(row["least"]), row["least_mode"]),
                figure(row["most"], formats.in_points(row["most"]), row["most_mode"]),
            ]
        )
        for row in found.to_dict("records")
    ]
    columns = [Column("actual class"), Column("taken for"), *_numbers(titles)]
    caption = f"The {len(rows)} most confused pairs of classes: mean over the modes, and the least and most of a mode"
    return _of_file("confusion", frame, caption, columns, rows)


def cells(frame: pd.DataFrame) -> Listing:
    """A row a training run."""
    titles = ["fold", "seed", "accuracy (%)", "macro F1 (%)", "log loss", "seconds"]
    rows = [
        Row(
            [
                mode(row["norm"]),
                Entry(str(row["fold"])),
                Entry(str(row["seed"])),
                figure(row["accuracy"], formats.in_points(row["accuracy"])),
                figure(row["f1_macro"], formats.in_points(row["f1_macro"])),
                figure(row["loss"], formats.number(row["loss"])),
                figure(row["total_seconds"], formats.number(row["total_seconds"], 0)),
                Entry(row["device"]),
                Entry(row["precision"]),
            ]
        )
        for row in frame.to_dict("records")
    ]
    columns = [Column("mode"), *_numbers(titles), Column("device"), Column("precision")]
    return _of_file("cells", frame, "Every cell", columns, rows)


def _of_file(name: str, frame: pd.DataFrame, caption: str, columns: list[Column], rows: list[Row]) -> Listing:
    return Listing(caption, columns, rows, file=f"{name}.csv", link=carried(frame))


def _numbers(titles: list[str]) -> list[Column]:
    return [Column(title, "number") for title in titles]


def _first(rows: list[Row], frame: pd.DataFrame, what: str) -> str:
    return f"All {len(rows)} {what}" if len(rows) == len(frame) else f"The first {len(rows)} of {len(frame)} {what}"


def _found(effect: Effect) -> str:
    return effect.sentence.removeprefix(f"{effect.name}: ").partition(". ")[0]
