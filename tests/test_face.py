"""What a person with a network and a loader of their own types."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import specnorm as sn
from specnorm.errors import ConfigurationError, DataError, IntegrityError
from specnorm.statistics import training_set
from tests.builders import fit_statistics, levels, noise, write_shards
from tests.faults.bad_wav import wav

HEAVY = {"pandas", "pyarrow", "sklearn", "matplotlib", "requests", "dvc", "mlflow", "hydra", "yaml", "ruamel", "jinja2"}


def imported(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after ``code``."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_imports_nothing_else() -> None:
    found = imported("import specnorm; assert specnorm.__version__; dir(specnorm)")
    assert not found & (HEAVY | {"torch", "numpy", "scipy", "soundfile", "pydantic", "torchaudio"})


def test_the_public_names_bring_nothing_of_the_pipeline() -> None:
    found = imported("from specnorm import *\nfrom specnorm import Statistics, FrontEnd, fit\nFrontEnd.linear()")
    assert {"torch", "numpy"} <= found
    assert not found & (HEAVY | {"torchaudio"})


def test_every_public_name_is_there_and_told() -> None:
    assert set(sn.__all__) == set(sn._HOMES) | {"__version__"}
    assert set(sn.__all__) <= set(dir(sn))
    for name, home in sn._HOMES.items():
        assert getattr(sn, name) is getattr(importlib.import_module(home), name)
        assert len(getattr(sn, name).__doc__) > 40, name
    with pytest.raises(AttributeError, match="module 'specnorm' has no attribute 'Chanel'"):
        _ = sn.Chanel


def test_a_type_checker_sees_the_names_where_they_are() -> None:
    tree = ast.parse(Path(sn.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == sn._HOMES


@pytest.mark.parametrize("name", [name for name in sn._HOMES if name != "SpecnormError"])
def test_every_public_name_has_an_example_that_runs(name: str) -> None:
    text = getattr(sn, name).__doc__
    if name == "FrontEnd":
        text += sn.FrontEnd.linear.__doc__
    if name == "Normalizer":
        text += sn.Normalizer.fit.__doc__
    assert ">>> " in text  # the run of the doctests holds them


class TestAWalk:
    """From files and batches to a model, as docs/library.md shows it."""

    @pytest.fixture
    def front(self) -> sn.FrontEnd:
        return sn.FrontEnd.linear(sample_rate=1000, clip_seconds=0.2, n_fft=16, hop_length=40)

    @pytest.fixture
    def spectrograms(self, front: sn.FrontEnd, tmp_path: Path) -> torch.Tensor:
        clips = []
        for number in range(6):
            path = tmp_path / f"{number}.wav"
            path.write_bytes(wav(noise(300, seed=number).astype("<f4").tobytes(), tag=3, bits=32, rate=1000))
            clips.append(sn.load_clip(path, front))
        found: torch.Tensor = front(torch.stack(clips))
        return found

    @pytest.mark.parametrize("kind", ["global", "channel"])
    def test_statistics_of_a_loader_fit_a_normaliser(
        self, front: sn.FrontEnd, spectrograms: torch.Tensor, tmp_path: Path, kind: str
    ) -> None:
        stats = sn.Statistics.like(front)
        for batch in spectrograms.split(2):
            stats.update(batch)
        norm = sn.fit(kind, stats)
        assert isinstance(norm, {"global": sn.Global, "channel": sn.Channel}[kind])
        axes = (0, 1, 2, 3) if kind == "global" else (0, 1, 3)
        found = norm(spectrograms).double().numpy()
        np.testing.assert_allclose(found.mean(axis=axes), 0, atol=1e-5)  # float32: 8e-6 dB by deviations of dB
        np.testing.assert_allclose(found.std(axis=axes), 1, rtol=1e-5)
        model = nn.Sequential(norm, nn.Conv2d(1, 2, 3))
        model(spectrograms).sum().backward()
        stats.save(tmp_path / "stats.json")
        for source in (
            tmp_path / "stats.json",
            str(tmp_path / "stats.json"),
            sn.Statistics.load(tmp_path / "stats.json"),
        ):
            again = sn.fit(kind, source)
            assert torch.equal(again(spectrograms), norm(spectrograms))

    def test_the_pipelines_own_statistics_fit_a_normaliser(self, tmp_path: Path) -> None:
        found = fit_statistics(write_shards(tmp_path / "shards", levels()), 1)
        path = tmp_path / "statistics" / "fold-1" / "raw.json"
        training_set.write(found, path)
        for kind in ("global", "channel"):
            expected = sn.fit(kind, found).state_dict()
            for source in (path, str(path)):
                state = sn.fit(kind, source).state_dict()
                assert state.keys() == expected.keys()
                assert all(torch.equal(value, expected[name]) for name, value in state.items())

    def test_a_file_that_is_missing_or_edited(self, tmp_path: Path) -> None:
        with pytest.raises(IntegrityError, match=r"missing file in .*stats\.json"):
            sn.fit("channel", tmp_path / "stats.json")
        training_set.write(fit_statistics(write_shards(tmp_path / "shards", levels()), 1), tmp_path / "stats.json")
        stored = json.loads((tmp_path / "stats.json").read_text())
        stored["bins"]["mean"][0] += 1.0
        (tmp_path / "stats.json").write_text(json.dumps(stored))
        with pytest.raises(IntegrityError, match=r"changed file in .*stats\.json"):
            sn.fit("channel", str(tmp_path / "stats.json"))

    def test_statistics_of_nothing(self) -> None:
        with pytest.raises((DataError, ConfigurationError)):
            sn.Channel.fit(sn.Statistics())

    @pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3), (0, 2, 3)])
    def test_statistics_along_other_axes_are_no_statistics_of_bins(self, axes: tuple[int, ...]) -> None:
        """A regression: one pair for all bins passed for a channel of one bin."""
        stats = sn.Statistics(reduced_axes=axes)
        stats.update(torch.randn(4, 1, 9, 5))
        with pytest.raises(ConfigurationError, match=r"statistics along other axes in normaliser channel: expected"):
            sn.Channel.fit(stats)

    def test_every_error_is_one_of_ours(self) -> None:
        with pytest.raises(sn.SpecnormError):
            sn.fit("chanel", 201)
        with pytest.raises(sn.SpecnormError):
            sn.FrontEnd.linear(n_fft=3)
