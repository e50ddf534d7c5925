"""What was seen of spectrograms so far: figures that merge, and the file they are kept in."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from specnorm.errors import ConfigurationError, DataError, IntegrityError
from specnorm.files import write_sealed
from specnorm.statistics import columns
from specnorm.statistics.moments import Moments, RunningMoments

AXES = ("batch", "channels", "bins", "frames")
BINS = AXES.index("bins")


@dataclass(frozen=True)
class Recorded:
    """Moments of every position of the kept axes, and what they are of."""

    reduced_axes: tuple[int, ...]  # from 0 on, in order
    floor_db: float | None
    bin_frequencies_hz: list[float] | None = None
    kept: tuple[int, ...] | None = None  # sizes of the kept axes; unknown before the first batch
    running: RunningMoments | None = None  # [positions]: the kept axes as one, the last one fastest
    batches: int = 0
    clips: int = 0

    @classmethod
    def nothing(cls, reduced_axes: Sequence[int], floor_db: float | None) -> Self:
        """Of no batch yet.

        Raises:
            ConfigurationError: there is no such axis, an axis stands twice, or there is none; the floor is not finite.
        """
        try:
            axes = [operator.index(axis) for axis in reduced_axes]
        except TypeError:
            axes = []
        distinct = {axis % len(AXES) for axis in axes}
        if not all(-len(AXES) <= axis < len(AXES) for axis in axes) or not 0 < len(axes) == len(distinct):
            raise ConfigurationError(
                "bad reduced axes",
                where="statistics",
                expected=f"some of the axes of [{', '.join(AXES)}]",
                got=reduced_axes,
            )
        if floor_db is not None and not math.isfinite(floor_db):
            raise ConfigurationError("bad floor_db", where="statistics", expected="a level in dB", got=floor_db)
        return cls(tuple(sorted(distinct)), None if floor_db is None else float(floor_db))

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """The axes that are not reduced, from 0 on, in order."""
        return tuple(axis for axis in range(len(AXES)) if axis not in self.reduced_axes)

    @property
    def moments(self) -> Moments:
        """The moments, one for each position.

        Raises:
            DataError: there is no value yet, or none at some position.
        """
        if self.running is None:
            raise DataError("no value to take statistics of", where="statistics", hint="Update them with a batch first")
        empty = np.flatnonzero(self.running.moments.count == 0)
        if empty.size:
            raise DataError(
                "no value to take statistics of", where=f"position {empty[0]} of the kept axes", got="padding alone"
            )
        return self.running.moments

    def plus_batch(self, kept: tuple[int, ...], running: RunningMoments, clips: int) -> Self:
        """With one more batch of ``clips`` clips, whose kept axes are of the sizes ``kept``."""
        merged = running if self.running is None else self.running.merge(running)
        return replace(self, kept=kept, running=merged, batches=self.batches + 1, clips=self.clips + clips)

    def merge(self, other: Recorded, where: str) -> Self:
        """Of both together.

        Raises:
            DataError: they differ in the reduced axes, the sizes of the kept ones, the frequencies, or the floor.
        """
        if self.reduced_axes != other.reduced_axes:
            raise DataError("other reduced axes", where=where, expected=self.reduced_axes, got=other.reduced_axes)
        if None not in (self.kept, other.kept) and self.kept != other.kept:
            raise DataError("other sizes of the kept axes", where=where, expected=self.kept, got=other.kept)
        frequencies = [part.bin_frequencies_hz for part in (self, other) if part.bin_frequencies_hz is not None]
        if len(frequencies) == 2 and frequencies[0] != frequencies[1]:
            raise DataError("other frequencies of the bins", where=where)
        for part, known in ((self, other), (other, self)):
            part.check_bins(known.bin_frequencies_hz, where)
        if not _same_level(self.floor_db, other.floor_db):
            raise DataError("another floor_db", where=where, expected=str(self.floor_db), got=str(other.floor_db))
        if self.running is None or other.running is None:
            running = other.running if self.running is None else self.running
        else:
            running = self.running.merge(other.running)
        return replace(
            self,
            bin_frequencies_hz=frequencies[0] if frequencies else None,
            kept=other.kept if self.kept is None else self.kept,
            running=running,
            batches=self.batches + other.batches,
            clips=self.clips + other.clips,
        )

    def check_bins(self, bin_frequencies_hz: list[float] | None, where: str) -> None:
        """Refuse bins that are kept and are not as many as the frequencies.

        Raises:
            DataError: they are not.
        """
        if self.kept is None or bin_frequencies_hz is None or BINS not in self.kept_axes:
            return
        found = self.kept[self.kept_axes.index(BINS)]
        if found != len(bin_frequencies_hz):
            raise DataError("wrong number of bins", where=where, expected=len(bin_frequencies_hz), got=found)

    def write(self, path: Path) -> None:
        """Write one JSON file: the lists of :mod:`specnorm.statistics.columns`, and what they are of.

        Raises:
            DataError: as :attr:`moments`.
            ResourceError: the file cannot be written.
        """
        write_sealed(path, self._document())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what :meth:`write` wrote, or a training set's file, of whose provenance only the floor is taken.

        Raises:
            IntegrityError: the file is missing, damaged, edited, of another format, or holds impossible values.
        """
        stored = columns.read_document(path)
        try:
            moments, frequencies = columns.moments_of(stored)
            facts = stored if "reduced_axes" in stored else _facts_of_training_set(stored, len(moments.count))
            found = replace(
                cls.nothing(facts["reduced_axes"], facts["floor_db"]),
                bin_frequencies_hz=frequencies,
                kept=tuple(operator.index(size) for size in facts["kept"]),
                running=RunningMoments(moments, np.asarray(facts["mean_rest"], np.float64)),
                batches=operator.index(facts["batches"]),
                clips=operator.index(facts["clips"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError, ConfigurationError) as error:
            raise IntegrityError("damaged statistics", where=path, got=repr(error)) from error
        columns.check_possible(moments, frequencies, path)
        found._check_sizes(path)
        return found

    def _check_sizes(self, path: Path) -> None:
        assert self.kept is not None
        assert self.running is not None
        positions = self.running.moments.count.shape
        if (
            len(self.kept) != len(self.kept_axes)
            or min(self.kept, default=1) < 1
            or not (math.prod(self.kept),) == positions == self.running.mean_rest.shape
            or not np.isfinite(self.running.mean_rest).all()
        ):
            raise IntegrityError("impossible statistics", where=path, expected="a value for every kept position")

    def _document(self) -> dict[str, Any]:
        moments = self.moments
        assert self.running is not None
        assert self.kept is not None
        frequencies = self.bin_frequencies_hz if self.kept_axes == (BINS,) else None
        return {
            **columns.document(moments, frequencies),
            "reduced_axes": list(self.reduced_axes),
            "kept": list(self.kept),
            "floor_db": self.floor_db,
            "mean_rest": self.running.mean_rest.tolist(),
            "batches": self.batches,
            "clips": self.clips,
        }


def _facts_of_training_set(stored: dict[str, Any], bins: int) -> dict[str, Any]:
    """What a training set's file does not say in our words."""
    return {
        "reduced_axes": [axis for axis in range(len(AXES)) if axis != BINS],
        "kept": [bins],
        "floor_db": 10 * math.log10(stored["front_end"]["amin"]),
        "mean_rest": [0.0] * bins,
        "batches": 0,
        "clips": stored["clips"],
    }


def _same_level(one: float | None, other: float | None) -> bool:
    """To a float32 rounding, which a front end's floor carries and a file's does not."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6)
