"""The last good state of a cell, kept beside the pipeline's outputs until the cell is done."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn, optim

from specnorm.files import write_bytes


@dataclass(frozen=True)
class Checkpoint:
    """One file of tensors with a JSON header, valid for one cell alone.

    Args:
        path: the file, in a folder of the cell's own, which is made when needed.
        cell: fingerprint of everything that determines the cell's result. A file with another one is not resumed.
        every_s: least time between two saves in seconds, so that short epochs are not spent on writing.
        began: seconds since 1970; what is older in the folder was left by another run.
    """

    path: Path
    cell: str
    every_s: float = 0.0
    began: float = field(default_factory=time.time)

    def save(self, model: nn.Module, optimizer: optim.Optimizer, history: list[dict[str, float]]) -> None:
        """Replace the stored state atomically; ``history`` has a row for each finished epoch."""
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        rows = json.dumps(history)
        header = {"cell": self.cell, "history": rows, "digest": _digest(tensors, rows)}
        write_bytes(self.path, save(tensors, header))

    def restore(self, model: nn.Module, optimizer: optim.Optimizer) -> list[dict[str, float]]:
        """Load the stored state into ``model`` and ``optimizer``; returns its history, empty where there is none.

        A file that cannot be used is set aside with a warning; ``model`` and ``optimizer`` may then hold part of it.
        """
        if not self.path.exists():
            return []
        try:
            with safe_open(self.path, framework="pt") as stored:
                header = stored.metadata() or {}
                tensors: dict[str, Tensor] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            if header.get("cell") != self.cell:
                raise ValueError("it belongs to another cell")
            if header["digest"] != _digest(tensors, header["history"]):
                raise ValueError("its content has changed")
            TypeAdapter(list[dict[str, float]]).validate_json(header["history"], strict=True)
            history: list[dict[str, float]] = json.loads(header["history"])
            if not history or [row.get("epoch") for row in history] != list(range(1, len(history) + 1)):
                raise ValueError("its history is not one of epochs")
            states: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith("optimizer."):
                    _, index, field = name.split(".")
                    states.setdefault(int(index), {})[field] = value
            model.load_state_dict({n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")})
            _check_moments(optimizer, states)
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": states, "param_groups": groups})
            _lay_out_like_weights(optimizer)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            aside = self.path.with_suffix(".damaged")
            self.path.replace(aside)
            warnings.warn(f"checkpoint {self.path.name} set aside as {aside.name}: {error}", stacklevel=2)
            return []
        return history

    def remove(self) -> None:
        """Forget the state and what older runs of the cell left; call it when the cell's outputs are written.

        Another experiment may train the same cell with other parameters at this moment: its file is younger.
        """
        self.path.unlink(missing_ok=True)
        for path in self.path.parent.glob("*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < self.began:
                    path.unlink()


def _check_moments(optimizer: optim.Optimizer, states: dict[int, dict[str, Tensor]]) -> None:
    """Refuse a state that the optimiser would take and only fail on, or go wrong with, at its next step."""
    weights = dict(enumerate(weight for group in optimizer.param_groups for weight in group["params"]))
    for index, state in states.items():
        shape = weights[index].shape if index in weights else None
        found = {name: value.shape for name, value in state.items()}
        if found != {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}:
            raise ValueError(f"its moments are not those of weight {index}")


def _lay_out_like_weights(optimizer: optim.Optimizer) -> None:
    """Give each restored moment its weight's order in memory: the fused step walks both by address, not by index."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == weight.shape:
                state[name] = torch.empty_like(weight).copy_(value)


def _digest(tensors: dict[str, Tensor], history: str) -> str:
    """SHA-256 of a state: the file format has none of its own, and a bit that flips would train on unseen."""
    digest = hashlib.sha256(history.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
