"""A comparison as one page: opens without a network, in light and dark, on a wide screen and on a phone."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from specnorm.comparison.document import Document
from specnorm.comparison.metrics import p_shown, points
from specnorm.report.hearing import Hearing

_MOST_CLIPS = 40  # disagreements listed; the file has all


def render(
    document: Document,
    figures: Mapping[str, str],
    colours: Mapping[str, str],
    *,
    cells: pd.DataFrame,
    clips: pd.DataFrame,
    hearing: Hearing | None,
    provenance: Mapping[str, str],
) -> str:
    """The page as HTML.

    Args:
        document: the verdict's.
        figures: SVG by name.
        colours: of the modes.
        cells: a row a cell.
        clips: what the modes disagree on, a row a clip.
        hearing: the clips that can be heard, where any are wanted.
        provenance: what else a reader must know to trust or repeat the run, shown as it is.
    """
    environment = Environment(
        loader=PackageLoader("specnorm.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"points": _points, "change": _change, "number": _number, "p": _p}
    modes = [mode.norm for mode in document.modes]
    return environment.get_template("report.html").render(
        verdict=document,
        modes=modes,
        colours=colours,
        images={name: _uri(svg) for name, svg in figures.items()},
        confusions=[f"confusion-{mode}" for mode in modes],
        cells=cells.to_dict("records"),
        clips=clips.head(_MOST_CLIPS).to_dict("records"),
        disagreements=len(clips),
        hearing=hearing,
        provenance=provenance,
    )


def _uri(svg: str) -> str:
    """A picture inside the page: an image of its own, so that no two pictures' identifiers meet."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{points(value):.1f}"


def _change(value: float | None, *, share: bool = True) -> str:
    """A difference with its sign: in points, or as it is."""
    if value is None:
        return "–"
    return f"{points(value):+.1f}" if share else f"{value:+.3f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _p(value: float | None) -> str:
    return "–" if value is None else p_shown(value)
