"""Memory: how much of it a cell may fill with clips, how much it took, and how it is given out."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress

import torch

from specnorm.memory import free_bytes

_CLIPS_SHARE = 0.5  # of what is free: activations, gradients and the optimiser need the rest
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def clips_budget(device: torch.device) -> int:
    """Bytes of ``device``'s memory that clips may take: half of what is free now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = free_bytes()
    return int(free * _CLIPS_SHARE)


def keep_freed() -> bool:
    """Let this process keep the memory that it frees, where its allocator is glibc's; returns whether it is.

    A training step allocates and frees the same gigabytes of activations again and again. glibc returns each such
    block to the kernel, which must clear its pages before it gives them out anew: that took a third of a step's time.
    The numbers do not change, and the process holds up to half as much again as it would.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))
    return False


def peaks(device: torch.device) -> dict[str, float]:
    """Most memory that this process held so far, in MB (1e6 bytes): of the machine, and of a GPU where it used one."""
    unit = 1 if sys.platform == "darwin" else 1024
    found = {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6}
    if device.type == "cuda":
        found["peak_device_memory_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
    return found
