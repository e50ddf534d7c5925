"""A picture of a row a thing: name left and figure right of the axes, or both above the mark where it is narrow."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from specnorm.report.style import INK, MUTED, short, width, wrapped

_LETTERS = {False: 38, True: 36}  # of a name, in wide and narrow pictures
_PITCH = {False: 0.36, True: 0.44}  # inches a row
_LETTERS_PER_INCH = 13


class Rows:
    """The axes, in whose data the first row lies at 0 and the next at 1 below it.

    Args:
        count: of rows, with those that stay empty.
        narrow: whether for a phone.
        tall: how much higher a row of the wide picture is than others are.
        axis: what is measured along the axis.
    """

    def __init__(self, count: float, *, narrow: bool, axis: str, tall: float = 1.0) -> None:
        self.narrow = narrow
        pitch = _PITCH[narrow] * (1.0 if narrow else tall)
        self.figure = Figure(figsize=(width(narrow=narrow), 0.75 + 0.17 * narrow + pitch * (count + 0.6)))
        self.axes: Axes = self.figure.subplots()
        self.axes.set_ylim(count - 0.4, -1.0)
        self.axes.set_xlabel(wrapped(self.figure, axis, _LETTERS_PER_INCH))
        self.axes.grid(axis="y", visible=False)
        self.axes.set_yticks([])
        if narrow:
            self.axes.spines["left"].set_visible(False)
        self._names: dict[float, str] = {}

    @property
    def thick(self) -> float:
        """Height of a bar."""
        return 0.4 if self.narrow else 0.72

    def head(self, text: str) -> None:
        """What the figures of all rows are."""
        self._say(-0.85, text, right=True, colour=MUTED, size=8)

    def part(self, row: float, text: str) -> None:
        """What the rows below this one have in common."""
        self._say(row, text, right=not self.narrow, colour=MUTED, size=8)

    def say(self, row: float, name: str, figure: str) -> None:
        """A row's name, and its figure in numbers."""
        name = short(name, _LETTERS[self.narrow])
        if self.narrow:
            self._say(row - 0.45, name, right=False, colour=INK, size=8)
            self._say(row - 0.45, figure, right=True, colour=INK, size=8)
            return
        self._names[row] = name
        self.axes.set_yticks(list(self._names), list(self._names.values()))
        self._say(row, figure, right=True, colour=INK, size=9)

    def grow(self, height: float) -> None:
        """Make room in inches below the axes, for a legend."""
        self.figure.set_figheight(self.figure.get_figheight() + height)

    def _say(self, row: float, text: str, *, right: bool, colour: str, size: int) -> None:
        aside = right and not self.narrow
        self.axes.annotate(
            text,
            (1.02 if aside else float(right), row),
            xycoords=("axes fraction", "data"),
            ha="left" if aside or not right else "right",
            va="center",
            annotation_clip=False,
            color=colour,
            fontsize=size,
        )
