"""A cell's clips as tensors on the device, and the batches that training and evaluation see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Clips:
    """Spectrograms ``[clips, 1, bins, frames]`` (float32, dB), targets ``[clips]`` (int64) and the clips' names."""

    spectrograms: Tensor
    targets: Tensor
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device) -> Clips:
        """The same clips held on ``device``."""
        return Clips(self.spectrograms.to(device), self.targets.to(device), self.names)


def training_batches(clips: Clips, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of exactly ``size`` clips in the given order ``[clips]``; the short rest is left out."""
    order = order.to(clips.targets.device)
    for start in range(0, len(clips) - size + 1, size):
        chosen = order[start : start + size]
        yield clips.spectrograms[chosen], clips.targets[chosen]


def evaluation_batches(clips: Clips, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every clip once, in order; the last batch may be short."""
    for start in range(0, len(clips), size):
        yield clips.spectrograms[start : start + size], clips.targets[start : start + size]
