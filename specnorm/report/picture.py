"""A picture and what is said of it: a title for the page, and a text for those who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from specnorm.errors import one_line

_HOVER = "hover:"  # starts what names a mark in matplotlib's SVG


@dataclass(frozen=True)
class Picture:
    """What to draw, what to see in it, and that in words with its most telling numbers."""

    figure: Figure
    title: str
    alt: str


def hover(artist: Artist, text: str) -> None:
    """Say what a mark stands for, to a pointer that rests on it."""
    artist.set_gid(_HOVER + quote(one_line(text), safe=" "))  # no quote, angle or ampersand is left in it


def hovered(name: str | None) -> str | None:
    """What :func:`hover` said of a mark, from its name in an SVG; none of anything else."""
    return unquote(name.removeprefix(_HOVER)) if name and name.startswith(_HOVER) else None


def listed(names: list[str], most: int = 6) -> str:
    """Names in a sentence; of very many, the first ones.

    >>> listed(["none", "global", "channel"]), listed(list("abcdefgh"))
    ('none, global and channel', 'a, b, c, d, e and 3 more')
    """
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
