"""Where the pipeline keeps things, relative to the repository that it runs in, and which stage makes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specnorm.training.key import CellKey

SOURCE = Path("data/source")
ARCHIVE = Path("data/raw")
SHARDS = Path("data/spectrograms")
STATISTICS = Path("data/statistics")
NORMALIZERS = Path("data/normalizers")
CELLS = Path("data/cells")
COMPARISON = Path("data/comparison")

_MAKERS = {
    SOURCE: "source",
    ARCHIVE: "download",
    SHARDS: "spectrograms",
    STATISTICS: "statistics",
    NORMALIZERS: "normalizers",
    CELLS: "train",
    COMPARISON: "compare",
}


def maker(where: object) -> str | None:
    """The stage, or the one of a matrix, that makes what an error says is wrong, where that lies in one of the places.

    >>> maker("data/statistics/fold-1/raw.json"), maker("data/cells/global/fold-2/seed-0"), maker("params.yaml")
    ('statistics', 'train@global-2-0', None)
    """
    for place, stage in _MAKERS.items():
        if f"{where}/".startswith(f"{place.as_posix()}/"):
            parts = f"{where}".removeprefix(place.as_posix()).split("/")[1:]
            items = {NORMALIZERS: parts[:1], CELLS: parts[:3]}.get(place, [])
            return "@".join([stage, *filter(None, ["-".join(item.rpartition("-")[2] for item in items)])])
    return None


def root() -> Path:
    """The repository: experiments run in temporary copies of it, and DVC names the original."""
    return Path(os.environ.get("DVC_ROOT", "")).resolve()


def cache() -> Path:
    """Where work that must outlive a run is kept: unfinished downloads, checkpoints."""
    return root() / ".cache"


def statistics_path(fold: int, waveform: str) -> Path:
    """The statistics of one training set, by its held-out fold."""
    return STATISTICS / f"fold-{fold}" / f"{waveform}.json"


def normalizer_path(norm: str, fold: int) -> Path:
    """A mode fitted for one held-out fold."""
    return NORMALIZERS / norm / f"fold-{fold}.json"


def cell_folder(key: CellKey) -> Path:
    """The output of one training run."""
    return CELLS / key.path
