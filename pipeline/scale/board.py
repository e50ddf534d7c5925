"""What is told of cells that run elsewhere: which is done, how long the others take, and the scores."""

from __future__ import annotations

import time
from typing import Any

from pipeline import command, places, progress
from pipeline.scale.attempt import Result
from specnorm.params import Params


class Board:
    """Follows a plan's cells; every other stage it only counts."""

    def __init__(self, params: Params, names: list[str]) -> None:
        self._params, self._names = params, names
        self._started = time.monotonic()
        self._keys = {f"{places.maker(places.cell_folder(key))}": key for key in progress.keys(params)}
        self._before = progress.read([key for name, key in self._keys.items() if name not in names])
        self._ended: dict[str, Result] = {}

    def line(self, name: str, text: str) -> None:
        """A line that a cell prints."""
        command.say(f"{name:<{max(map(len, self._names))}} | {text}")

    def end(self, result: Result) -> None:
        """Tell that one has ended."""
        self._ended[result.name] = result
        done = f"failed with exit code {result.code}" if result.code else "done"
        left = len(self._names) - len(self._ended)
        rate = (time.monotonic() - self._started) / len(self._ended)
        rest = f", about {progress.duration(rate * left)} left" if left else ""
        self.line(result.name, f"{done} after {result.seconds:.1f} s on {result.node}, {self._place()}{rest}")
        for text in result.tail:
            self.line(result.name, text)

    def scores(self) -> None:
        """Show the accuracies of what has been collected."""
        command.say(progress.table(self._params, progress.read(list(self._keys.values()))))

    def _place(self) -> str:
        return f"{len(self._ended)} of {len(self._names)}"

    def failed(self) -> list[Result]:
        """Those that failed."""
        return [result for result in self._ended.values() if result.code]

    def entries(self) -> dict[str, list[dict[str, Any]]]:
        """The entries of those that went well."""
        return {name: [result.entry] for name, result in self._ended.items() if result.entry is not None}
