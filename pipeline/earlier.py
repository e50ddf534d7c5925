"""The last comparison of some clips, remembered beyond the results that the next run writes in its place.

DVC's cache keeps every comparison, and an experiment's name brings it back. A run of one mode alone compares nothing:
its results name the comparison in whose place they are.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import places
from specnorm.comparison.document import Document
from specnorm.errors import IntegrityError
from specnorm.files import read_sealed, write_sealed
from specnorm.refusal import typed

FORMAT = 1

_OUTCOMES = {"undecided": "was undecided", "nothing learned": "found nothing learned"}


@dataclass(frozen=True)
class Comparison:
    """What is remembered: the modes, the outcome in words, and the experiment, where it was one."""

    modes: tuple[str, ...]
    outcome: str
    experiment: str | None

    def sentence(self) -> str:
        """It as what a reader of one mode's results must know, without a full stop."""
        modes = f"{', '.join(self.modes[:-1])} and {self.modes[-1]}"
        back = "the same run brings it back and trains nothing"
        if self.experiment is not None:
            back = f"dvc exp apply {self.experiment} brings it back"
        return f"The last comparison of these clips, of {modes}, {self.outcome}: {back}"


def remembered(said: Document) -> Document:
    """Remember a comparison, and let what is said of one mode alone name the last one of the same clips.

    Args:
        said: the verdict's document.
    """
    if len(said.modes) > 1:
        modes, decision = tuple(mode.norm for mode in said.modes), said.decision
        outcome = _OUTCOMES.get(decision.state, f"said to use {decision.mode}")
        now = Comparison(modes, outcome, os.environ.get("DVC_EXP_NAME"))
        write_sealed(_note(said), {"format": FORMAT, **asdict(now)})
        return said
    last = _read(_note(said))
    if last is None:
        return said
    return said.model_copy(update={"caveat": ". ".join(filter(None, [said.caveat, last.sentence()]))})


def _read(path: Path) -> Comparison | None:
    with suppress(IntegrityError):  # there was none, or its note is damaged: a sentence less
        note = read_sealed(path, format=FORMAT)
        del note["format"]
        return typed(Comparison, note, what="damaged note", where=path)
    return None


def _note(said: Document) -> Path:
    return places.cache() / "comparisons" / f"{said.dataset.digest[:16]}.json"
