"""Memory of this machine: how much of it is free."""

from __future__ import annotations

from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int:
    """Bytes that a process may take before the machine, or the container that it is in, has no more."""
    return int(min(psutil.virtual_memory().available, _container_free()))


def _container_free() -> float:
    """Bytes that the control group leaves (version 2, Linux); its page cache counts as free, as the kernel drops it."""
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # "max" is no number
        facts = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return limit - int(facts["anon"])
    except (OSError, ValueError, KeyError):
        return float("inf")
