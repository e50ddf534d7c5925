"""A comparison's verdict as MLflow shows it: numbers, a table, a note."""

from __future__ import annotations

from specnorm.comparison.document import Document
from specnorm.report.tables import summary_markdown


def summary(verdict: Document) -> str:
    """The comparison in Markdown: what was compared, what is recommended, a row a mode."""
    said = "\n\n".join(f"{sentence}." for sentence in verdict.answer())
    return f"### {verdict.title}\n\n{said}\n\n{summary_markdown(verdict)}\n"


def note(verdict: Document, mode: str) -> str:
    """What the verdict says of one mode, in Markdown."""
    place = "is the recommended mode" if mode == verdict.recommended else "is not the recommended mode"
    pairs = [pair.sentence for pair in verdict.pairs if mode in (pair.one, pair.other)]
    lines = [f"`{mode}` {place}. {verdict.decision.sentence}.", "", *(f"- {sentence}." for sentence in pairs)]
    return "\n".join(lines).strip() + "\n"
