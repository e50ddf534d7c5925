"""A cell's clips, and the batches that training and evaluation see: held on the device, or read ahead of use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specnorm.shards.prefetch import in_order

Batch = tuple[Tensor, Tensor]  # spectrograms [batch, 1, bins, frames] (float32, dB) and targets [batch] (int64)

_AHEAD = 2  # batches read before they are used: one hides the reading, a second one its hiccups


@dataclass(frozen=True)
class Clips:
    """Clips with their targets ``[clips]`` (int64) and names.

    The spectrograms (dB; batches are float32, whatever the type on the disk) are a sequence of arrays
    ``[some clips, 1, bins, frames]``, one after the other: memory-mapped shards stay on the disk until a batch is made.
    """

    parts: tuple[NDArray[np.floating], ...]
    targets: Tensor
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1, bins, frames)``."""
        return self.parts[0].shape[1:]

    @property
    def nbytes(self) -> int:
        """Bytes of all spectrograms as they are held: float32."""
        return sum(4 * part.size for part in self.parts)


class Batches(Protocol):
    """One cell's training or held-out clips as batches on a device."""

    def training(self, size: int, order: Tensor) -> Iterator[Batch]:
        """Batches of exactly ``size`` clips in the given order ``[clips]``; the short rest is left out."""

    def evaluation(self, size: int) -> Iterator[Batch]:
        """Every clip once, in order; the last batch may be short."""


class Resident:
    """All clips as one tensor on the device, chosen by index there: no copy but the batch's own."""

    def __init__(self, clips: Clips, device: torch.device) -> None:
        self.targets = clips.targets.to(device)
        self.spectrograms = torch.empty((len(clips), *clips.shape), device=device)
        start = 0
        for part in clips.parts:  # a part at a time, so that at most one is in memory twice
            self.spectrograms[start : start + len(part)] = torch.from_numpy(np.array(part))
            start += len(part)

    def training(self, size: int, order: Tensor) -> Iterator[Batch]:
        """See :class:`Batches`."""
        for chosen in torch.split(order.to(self.targets.device), size):
            if len(chosen) == size:
                yield self.spectrograms[chosen], self.targets[chosen]

    def evaluation(self, size: int) -> Iterator[Batch]:
        """See :class:`Batches`."""
        return zip(torch.split(self.spectrograms, size), torch.split(self.targets, size), strict=True)


class Streamed:
    """Batches gathered from the parts by a thread, ahead of their use: a set larger than memory trains too."""

    def __init__(self, clips: Clips, device: torch.device) -> None:
        self.clips = clips
        self.device = device
        self._starts = np.array([0, *accumulate(len(part) for part in clips.parts)])

    def training(self, size: int, order: Tensor) -> Iterator[Batch]:
        """See :class:`Batches`."""
        return self._ahead(chosen for chosen in torch.split(order, size) if len(chosen) == size)

    def evaluation(self, size: int) -> Iterator[Batch]:
        """See :class:`Batches`."""
        return self._ahead(torch.split(torch.arange(len(self.clips)), size))

    def _ahead(self, batches: Iterable[Tensor]) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as pool:
            for x, y in in_order(pool, self._gather, batches, ahead=_AHEAD):
                yield x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)

    def _gather(self, chosen: Tensor) -> Batch:
        """The chosen clips in host memory, from which a GPU can copy while it computes."""
        pinned = self.device.type == "cuda"
        x = torch.empty((len(chosen), *self.clips.shape), pin_memory=pinned)
        rows = chosen.numpy()
        for place in np.argsort(rows):  # in the order of the file, which is kind to a disk
            part = int(np.searchsorted(self._starts, rows[place], side="right")) - 1
            x[place].numpy()[...] = self.clips.parts[part][rows[place] - self._starts[part]]
        y = self.clips.targets[chosen]
        return x, y.pin_memory() if pinned else y
