"""Matplotlib's SVG made fit for a page: its identifiers meet no other picture's, its marks say their values."""

from __future__ import annotations

import html
import re

from specnorm.errors import one_line
from specnorm.report.picture import hovered

# These look at what matplotlib wrote, before any text of a user's is in it other than as paths.
_NOTES = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<g/>", re.DOTALL)
_BETWEEN = re.compile(r">\s+<")
_NAMED = re.compile(r'<g id="([^"]*)">')
_IDENTIFIER = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(href="|="url\()#([\w.-]+)')
_PATH = re.compile(r'(?<= d=")[^"]*')
_PLACES = re.compile(r'(?<= [dxy]=")[^"]*|translate\([^)]*\)')
_FRACTION = re.compile(r"(\.\d\d)\d+")  # hundredths of a point are fine enough
_COMMAND = re.compile(r"\s*([A-Za-z])\s*")


def fit(text: str, name: str, alt: str, sheet: str) -> str:
    """A picture's SVG as an element of its own: for a file, or for a page with others.

    Args:
        text: as matplotlib writes it.
        name: starts every identifier; of this picture alone, and of letters that an identifier may have.
        alt: what a screen reader says in the picture's place.
        sheet: rules for what lies in the class ``picture``, in place of matplotlib's own.
    """
    text = _NOTES.sub("", text[text.index("<svg") :])
    text = _BETWEEN.sub("><", text)
    text = _PLACES.sub(lambda found: _FRACTION.sub(r"\1", found[0]), text)
    text = _PATH.sub(lambda found: _COMMAND.sub(r"\1", found[0]).strip(), text)
    short = {old: f"{name}-{place:x}" for place, old in enumerate(dict.fromkeys(_referred(text)))}
    text = _IDENTIFIER.sub(lambda found: _kept(found[1], short), text)
    text = _REFERENCE.sub(lambda found: f"{found[1]}#{short[found[2]]}", text)
    text = _NAMED.sub(_titled, text)
    start = f'<svg class="picture" role="img" aria-label="{html.escape(one_line(alt))}"'
    end = text.index(">") + 1
    return f"{start}{text[4:end]}<style>{sheet}</style>{text[end:]}".strip() + "\n"


def _kept(identifier: str, short: dict[str, str]) -> str:
    kept = identifier if hovered(identifier) is not None else short.get(identifier)
    return f' id="{kept}"' if kept else ""


def _titled(group: re.Match[str]) -> str:
    said = hovered(group[1])
    return group[0] if said is None else f"<g><title>{html.escape(said, quote=False)}</title>"


def _referred(text: str) -> list[str]:
    return [identifier for _, identifier in _REFERENCE.findall(text)]
