"""The last good state of a cell, kept beside the pipeline's outputs until the cell is done."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn, optim

from specnorm.files import atomic_path


@dataclass(frozen=True)
class Checkpoint:
    """One file of tensors with a JSON header, valid for one cell alone.

    Args:
        path: the file; its folder is made when needed.
        cell: fingerprint of everything that determines the cell's result. A file with another one is not resumed.
    """

    path: Path
    cell: str

    def save(self, model: nn.Module, optimizer: optim.Optimizer, history: list[dict[str, float]]) -> None:
        """Replace the stored state atomically; ``history`` has a row for each finished epoch."""
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        header = {"cell": self.cell, "history": json.dumps(history)}
        with atomic_path(self.path) as partial:
            save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, partial, header)

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
            history: list[dict[str, float]] = json.loads(header["history"])
            states: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith("optimizer."):
                    _, index, field = name.split(".")
                    states.setdefault(int(index), {})[field] = value
            model.load_state_dict({n.removeprefix("model."): v for n, v in tensors.items() if n.startswith("model.")})
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": states, "param_groups": groups})
        except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
            aside = self.path.with_suffix(".damaged")
            self.path.replace(aside)
            warnings.warn(f"checkpoint {self.path.name} set aside as {aside.name}: {error}", stacklevel=2)
            return []
        return history

    def remove(self) -> None:
        """Forget the state; call it when the cell's outputs are written."""
        self.path.unlink(missing_ok=True)
