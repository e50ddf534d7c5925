"""docs/library.md is one program that runs from top to bottom, and the README's block on the library runs, too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import specnorm as sn
from specnorm.normalization.base import Normalizer
from specnorm.statistics import training_set
from tests.builders import fit_statistics, levels, noise, write_shards
from tests.faults.bad_wav import wav

PAGE = Path(__file__).parents[1] / "docs" / "library.md"
FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person's folder: clips, and what a run of the pipeline left."""
    (tmp_path / "clips").mkdir()
    for number in range(6):
        data = noise(20000, seed=number).astype("<f4").tobytes()
        (tmp_path / "clips" / f"{number}.wav").write_bytes(wav(data, tag=3, bits=32, rate=22050))
    statistics = fit_statistics(write_shards(tmp_path / "shards", levels()), 1)
    training_set.write(statistics, tmp_path / "data/statistics/fold-1/raw.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Normalizer, "_kinds", dict(Normalizer._kinds))
    yield tmp_path
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def test_every_block_runs_in_the_pages_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {language for language, _ in FENCES} == {"python"}
    namespace: dict[str, Any] = {"__name__": "page"}
    for number, (_, block) in enumerate(FENCES):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), namespace)
    printed = capsys.readouterr().out
    promised = re.search(r"print\(error\)  # (.*)", PAGE.read_text(encoding="utf-8"))
    assert promised is not None
    assert promised[1] in printed
    assert "PerClip() - Takes every clip by its own mean and deviation." in printed


def test_the_readmes_block_runs() -> None:
    readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import specnorm as sn\n.*?)```", readme, re.DOTALL)
    batches = [(-40 + 5 * torch.randn(4, 1, 201, 7), None) for _ in range(3)]
    names: dict[str, Any] = {"torch": torch, "loader": batches, "network": torch.nn.Flatten()}
    exec(compile(block, "README.md", "exec"), names)
    given = names["model"](torch.cat([spectrograms for spectrograms, _ in batches]))  # [12, 201 * 7]
    assert given.mean().item() == pytest.approx(0, abs=1e-4)  # float32 around -40 dB
    assert given.std().item() == pytest.approx(1, rel=1e-3)


def test_the_page_tells_every_public_name() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in set(sn.__all__) - {"__version__", "Identity", "Normalizer"}:
        assert f"sn.{name}" in text, name
