"""Every file of a comparison's folder, by its path in it."""

from __future__ import annotations

from collections.abc import Mapping

from specnorm.comparison.checked import CellTables
from specnorm.comparison.document import Document
from specnorm.comparison.verdict import Verdict
from specnorm.errors import visible
from specnorm.files import json_text
from specnorm.params import LinearParams, MelParams, NormParams
from specnorm.report import page, spreadsheet, style, tables
from specnorm.report.card import card
from specnorm.report.hearing import Hearing
from specnorm.report.listings import listings
from specnorm.report.picture import Picture
from specnorm.report.results import FIGURES, REPORT, VERDICT

TABLE = "table.md"


def files(
    document: Document,
    verdict: Verdict,
    checked: CellTables,
    figures: Mapping[str, Picture],
    provenance: Mapping[str, str],
    families: Mapping[str, str],
    norm: Mapping[str, NormParams],
    front_end: LinearParams | MelParams,
    hearing: Hearing | None,
) -> dict[str, bytes]:
    """Write it all out: the page, the pictures, the tables, and the verdict for programs.

    Args:
        document: the verdict's.
        verdict: of the comparison.
        checked: the tables of its cells.
        figures: by name, from the gallery.
        provenance: from :func:`specnorm.report.provenance.provenance`.
        families: each mode's.
        norm: the modes, as the parameters define them.
        front_end: the parameters of their spectrograms.
        hearing: from :func:`specnorm.report.hearing.hear`.
    """
    drawn = style.svgs(figures)
    summary = tables.summary(document)
    frames = {
        "cells": checked.cells,
        "curves": checked.curves,
        "confusion": checked.confusion,
        "summary": summary,
        "differences": verdict.pairs,
        "classes": verdict.classes,
        "disagreements": verdict.clips,
    }
    texts = {
        **{f"{name}.csv": spreadsheet.csv(frame) for name, frame in frames.items()},
        **{f"{FIGURES}/{name}.svg": svg for name, svg in drawn.items()},
        TABLE: visible(tables.markdown(document, checked.cells)),
        "accuracy.json": json_text(tables.flat(summary)),
        VERDICT: document.to_json(),
        REPORT: page.render(
            document,
            {name: page.Drawing(svg, figures[name].title) for name, svg in drawn.items()},
            style.colours(families),
            card=card(document, norm, front_end),
            listings=listings(document, frames),
            classes=verdict.classes,
            disagreements=len(verdict.clips),
            hearing=hearing,
            provenance=provenance,
        ),
    }
    return {name: text.encode() for name, text in texts.items()}
