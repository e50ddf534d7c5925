"""How much memory clips may take, and that freed memory is kept."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from specnorm import memory as machine
from specnorm.training import memory

CPU = torch.device("cpu")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with 1000 bytes free, in no container; returns the folder where a container's limits would stand."""
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    return tmp_path


def test_half_of_what_is_free(free: Path) -> None:
    assert memory.clips_budget(CPU) == 500


@pytest.mark.parametrize(
    ("limit", "anon", "budget"), [("700", "300", 200), ("5000", "10", 500), ("max", "300", 500), ("nonsense", "0", 500)]
)
def test_a_containers_limit_counts_where_it_is_the_lower(free: Path, limit: str, anon: str, budget: int) -> None:
    (free / "memory.max").write_text(f"{limit}\n")
    (free / "memory.stat").write_text(f"anon {anon}\nfile 12345\n")  # pages of files are given back when asked for
    assert memory.clips_budget(CPU) == budget


def test_a_gpus_own_memory_counts_for_it(free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (300, 80_000))
    assert memory.clips_budget(torch.device("cuda:1")) == 150


def test_this_machine_has_some() -> None:
    assert 10**7 < memory.clips_budget(CPU) < 10**14


CHILD = """
import ctypes, resource, statistics, sys, torch
from specnorm.training import memory
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: a fault is a page, whatever the machine's setting
if sys.argv[1] == "keep":
    assert memory.keep_freed()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64 * 2**20 // 4)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
# A small block that is put where the large one was makes the next large one a new one: now and then, not always.
print(statistics.median([faults() for _ in range(31)]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_freed_memory_is_used_again_instead_of_asked_for_anew() -> None:
    def faults(how: str) -> int:
        root = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", CHILD, how], cwd=root, capture_output=True, text=True, check=True)
        return int(float(done.stdout))

    pages = 64 * 2**20 // resource.getpagesize()
    assert faults("as it is") > 0.9 * pages  # or the next line would show nothing
    assert faults("keep") < 0.01 * pages


def test_peaks_are_those_of_this_process() -> None:
    before = memory.peaks(CPU)["peak_memory_mb"]
    block = torch.ones(100_000_000)  # 400 MB
    after = memory.peaks(CPU)["peak_memory_mb"]
    assert after >= max(before, block.numel() * 4 / 1e6)
    assert set(memory.peaks(CPU)) == {"peak_memory_mb"}
