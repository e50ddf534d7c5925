"""Every file of a comparison's folder, by its path in it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from matplotlib.figure import Figure

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
from specnorm.report.results import FIGURES, REPORT, VERDICT

TABLE = "table.md"


def files(
    document: Document,
    verdict: Verdict,
    checked: CellTables,
    figures: Mapping[str, Figure],
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
        figures: by name.
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
        "summary.json": json_text(tables.flat(summary)),
        VERDICT: document.to_json(),
        REPORT: page.render(
            document,
            {name: _drawing(name, figures[name], svg) for name, svg in drawn.items()},
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


def _drawing(name: str, figure: Figure, svg: str) -> page.Drawing:
    """A picture inside the page: its identifiers are its own, and its words are those of its title."""
    title = " ".join(figure.get_suptitle().split())
    said = html.escape(title or name)
    drawn = svg[svg.index("<svg") :]
    referred = set(re.findall(r'(?:href="|url\()#([\w.-]+)', drawn))
    drawn = re.sub(r' id="([^"]*)"', lambda own: f' id="{name}-{own[1]}"' if own[1] in referred else "", drawn)
    drawn = re.sub(r'(href="|url\()#', rf"\1#{name}-", drawn)
    return page.Drawing(drawn.replace("<svg", f'<svg role="img" aria-label="{said}"', 1), title)
