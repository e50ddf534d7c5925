"""What is told of cells that run elsewhere: which begin and end, how long the others take, and the scores."""

from __future__ import annotations

import time
from typing import Any

from pipeline import command, places, progress
from pipeline.progress import Done
from pipeline.scale.attempt import Result
from specnorm.params import Params


class Board:
    """Follows a plan's cells; every other stage it only counts."""

    def __init__(self, params: Params, names: list[str]) -> None:
        self._params, self._names = params, names
        self._started = time.monotonic()
        self._keys = {f"{places.maker(places.cell_folder(key))}": key for key in progress.keys(params)}
        self._scores = progress.read([key for name, key in self._keys.items() if name not in names])
        self._ended: dict[str, Result] = {}

    def begin(self, name: str) -> None:
        """Tell that one begins."""
        if name in self._keys:
            place, left_s = len(self._scores) + 1, self._left_s()
            self.line(name, progress.line(self._params, self._keys[name], place=place, left_s=left_s))

    def line(self, name: str, text: str) -> None:
        """A line that a cell prints."""
        command.say(f"{name:<{max(map(len, self._names))}} | {text}")

    def end(self, result: Result) -> None:
        """Tell that one has ended, with its last lines where it failed, and how all have scored."""
        self._ended[result.name] = result
        done = f"failed with exit code {result.code}" if result.code else "done"
        left = f", about {progress.duration(rest)} left" if (rest := self._left_s()) else ""
        place = f"{len(self._ended)} of {len(self._names)}"
        self.line(result.name, f"{done} after {result.seconds:.1f} s on {result.node}, {place}{left}")
        for text in result.tail:
            self.line(result.name, text)
        if result.accuracy is not None and result.name in self._keys:
            self._scores[self._keys[result.name]] = Done(result.accuracy, result.seconds)
            command.say(progress.table(self._params, self._scores))

    def failed(self) -> list[Result]:
        """Those that failed."""
        return [result for result in self._ended.values() if result.code]

    def entries(self) -> dict[str, list[dict[str, Any]]]:
        """The entries of those that went well."""
        return {name: [result.entry] for name, result in self._ended.items() if result.entry is not None}

    def _left_s(self) -> float | None:
        """Seconds for what has not ended, by what has."""
        if not self._ended:
            return None
        return (time.monotonic() - self._started) / len(self._ended) * (len(self._names) - len(self._ended))
