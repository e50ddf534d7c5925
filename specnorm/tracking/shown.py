"""A comparison's verdict as MLflow shows it: a note of Markdown, which nobody's label is to become part of."""

from __future__ import annotations

import html
import re

from specnorm.comparison.document import Document
from specnorm.report.tables import summary_markdown


def summary(verdict: Document) -> str:
    """The comparison in Markdown: what to do, what was compared, a row a mode."""
    first, *others = (_text(f"{sentence}.") for sentence in verdict.answer())
    said = "\n\n".join([f"**{first}**", *others, _text(f"{verdict.title}.")])
    return f"{said}\n\n{summary_markdown(verdict)}\n"


def note(verdict: Document, mode: str) -> str:
    """What the verdict says of one mode, in Markdown."""
    place = (
        f" is {'' if mode == verdict.recommended else 'not '}the recommended mode. " if verdict.recommended else ": "
    )
    pairs = [pair.sentence for pair in verdict.pairs if mode in (pair.one, pair.other)]
    lines = [f"`{mode}`{place}{_text(verdict.decision.sentence)}.", "", *(f"- {_text(each)}." for each in pairs)]
    return "\n".join(lines).strip() + "\n"


def _text(sentence: str) -> str:
    r"""A sentence as itself, whatever labels and names in it would be in Markdown or in HTML.

    >>> print(_text("Fold 1 has no clip of '<img src=x>' or '[a](b)': global_raw"))
    Fold 1 has no clip of '&lt;img src=x&gt;' or '\[a\](b)': global\_raw
    """
    return html.escape(re.sub(r"([\\`*_\[\]~|])", r"\\\1", sentence), quote=False)
