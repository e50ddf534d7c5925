"""A comparison as one page: opens without a network, in light and dark, on a wide screen and on a phone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from specnorm.comparison.document import Document
from specnorm.comparison.metrics import margin_shown
from specnorm.errors import visible
from specnorm.report import formats
from specnorm.report.card import Card
from specnorm.report.hearing import Hearing
from specnorm.report.listing import Listing

_FOUND = 0.05  # p values below it are found by chance as often


@dataclass(frozen=True)
class Drawing:
    """A picture as the page holds it: markup that may stand inside it and says its alternative text, and its title."""

    svg: str
    title: str


def render(
    document: Document,
    pictures: Mapping[str, Drawing],
    colours: Mapping[str, str],
    *,
    card: Card,
    listings: Mapping[str, Listing],
    classes: pd.DataFrame,
    disagreements: int,
    hearing: Hearing | None,
    provenance: Mapping[str, str],
) -> str:
    """The page as HTML.

    Whatever a label, a file or a data set is called is text here: it is escaped for HTML, and letters that turn the
    direction of writing, or that cannot be seen, are written out.

    Args:
        document: the verdict's.
        pictures: by name; of one that is too wide for a phone, another under ``<name>-narrow``.
        colours: of the modes.
        card: the answer.
        listings: the tables, by name.
        classes: a row a mode and class.
        disagreements: how many clips the modes disagree on.
        hearing: the clips that can be heard, where any are wanted.
        provenance: what else a reader must know to trust or repeat the run, shown as it is.
    """
    environment = Environment(
        loader=PackageLoader("specnorm.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"number": formats.number, "percent": formats.percent, "margin": margin_shown}
    text = environment.get_template("report.html").render(
        verdict=document,
        colours=colours,
        pictures=pictures,
        matrices=[f"confusion-{mode.norm}" for mode in document.modes],
        card=card,
        listings=listings,
        looks=_looks(classes),
        disagreements=disagreements,
        provenance=provenance,
        sections=_sections(document, hearing),
        hearing=hearing,
        nonce=_nonce(document),
    )
    return text.lstrip()


def _shown(value: object) -> object:
    ours = not isinstance(value, str) or isinstance(value, Markup) or value.isprintable()
    return value if ours else visible(str(value))


def _sections(document: Document, hearing: Hearing | None) -> dict[str, str]:
    compared = {"pairs": "Differences", "by-class": "By class"} if document.pairs else {}
    return {
        "verdict": "Verdict",
        "modes": "Modes",
        **compared,
        **({"hear": "Hear the disagreement"} if hearing else {}),
        "learning": "Learning",
        "given": "What the network is given",
        "no-op": "No-op check",
        "confusions": "Confusions",
        "method": "Method",
    }


def _looks(classes: pd.DataFrame) -> dict[str, int]:
    """How many differences by class there are, are found by chance, have a small p, and stand after correction."""
    return {
        "all": len(classes),
        "expected": round(_FOUND * len(classes)),
        "below": int((classes["p"] < _FOUND).sum()),
        "marked": int(classes["marked"].sum()),
    }


def _nonce(document: Document) -> str:
    """What the page's own scripts are known by: the same for the same verdict, and no label in it can foresee it."""
    return hashlib.sha256(document.to_json().encode()).hexdigest()[:32]
