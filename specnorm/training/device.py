"""Which device and which precision a cell trains with, and why."""

from __future__ import annotations

from typing import NamedTuple

import torch

from specnorm.errors import ResourceError


class Choice(NamedTuple):
    """A device, the autocast type on it (``None``: plain float32), and the reason for both in words."""

    device: torch.device
    autocast: torch.dtype | None
    reason: str

    @property
    def precision(self) -> str:
        """``bf16`` or ``fp32``."""
        return "fp32" if self.autocast is None else "bf16"


def choose(device: str, precision: str) -> Choice:
    """Resolve ``auto`` and check what was asked for.

    Raises:
        ResourceError: the device is not on this machine.
    """
    chosen, why_device = _device(device)
    if precision != "auto":
        return Choice(chosen, torch.bfloat16 if precision == "bf16" else None, f"{why_device}; {precision} as asked")
    fast, why = _bf16_pays(chosen)
    name = "bf16" if fast else "fp32"
    return Choice(chosen, torch.bfloat16 if fast else None, f"{why_device}; {name}: {why}")


def _device(name: str) -> tuple[torch.device, str]:
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        found = next((kind for kind, there in available.items() if there), "cpu")
        return torch.device(found), f"{found}: the fastest device found"
    device = torch.device(name)
    if not available.get(device.type, True):
        raise ResourceError(
            "no such device",
            where="train.device",
            expected="a device of this machine",
            got=name,
            hint="Set train.device to auto, or run on a machine that has one",
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ResourceError(
            "no such device", where="train.device", expected=f"at most cuda:{torch.cuda.device_count() - 1}", got=name
        )
    return device, f"{name} as asked"


def _bf16_pays(device: torch.device) -> tuple[bool, str]:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False), "what this GPU multiplies natively"
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        found = [name for name in ("avx512_bf16", "amx_bf16", "amx_tile") if capabilities.get(name)]
        if found:
            return True, f"this CPU has {found[0].upper().replace('_', '-')}"
        return False, "this CPU has no bfloat16 arithmetic"
    return False, f"bf16 is unproved on {device.type}"
