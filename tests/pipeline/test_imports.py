"""A stage imports what it uses: the first one starts without torch, and no cell pays for MLflow or a plot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import stage
from specnorm.normalization.base import kind_named
from tests import made_up

PICTURES = {"matplotlib", "mlflow", "jinja2"}
TRAINING = {"specnorm.training", "specnorm.normalization", "safetensors", "psutil"}
NEVER = {"dvc", "hydra", "mlflow"}  # MLflow is imported by the tracking itself, after its settings are made
LEFT_OUT = {
    "source": PICTURES
    | TRAINING
    | {"torch", "torchaudio", "sklearn", "scipy", "pandas", "pyarrow", "numpy", "requests"},
    "download": PICTURES | TRAINING | {"torch", "torchaudio", "sklearn", "scipy", "specnorm.shards"},
    "spectrograms": PICTURES | (TRAINING - {"psutil"}) | {"sklearn", "requests", "specnorm.statistics"},
    "statistics": PICTURES | TRAINING | {"sklearn", "requests", "scipy", "soundfile", "specnorm.datasets"},
    "normalizers": PICTURES | {"sklearn", "requests", "scipy", "soundfile", "torchaudio", "specnorm.training"},
    "train": PICTURES
    | {"sklearn", "requests", "scipy", "soundfile", "torchaudio", "specnorm.audio", "specnorm.report"},
    "compare": {"requests", "specnorm.tracking", "specnorm.classifier"},
    "track": {"matplotlib", "sklearn", "requests", "jinja2"},
}


def imported(code: str, folder: Path) -> set[str]:
    """The names under which modules are loaded once ``code`` has run in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(made_up.ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(found.stdout.splitlines()[-1].split())


def test_every_stage_is_looked_at() -> None:
    assert set(LEFT_OUT) == {path.stem for path in (made_up.ROOT / "stages").glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_stage_imports_what_it_uses(name: str, tmp_path: Path) -> None:
    assert not imported(f"import stages.{name}", tmp_path) & (LEFT_OUT[name] | NEVER)


def test_a_data_set_is_acquired_without_torch(tmp_path: Path) -> None:
    """Not only before the work begins: the modes are checked on the way."""

    def tiny(values: dict[str, object]) -> None:
        values["dataset"] = {
            "kind": "synthetic",
            "name": None,
            "sources": 2,
            "clips": 2,
            "folds": len(made_up.FOLDS),
            "sample_rate": 8000,
            "clip_seconds": 0.25,
            "seed": 0,
        }

    made_up.write_params(tmp_path / "params.yaml", tiny)
    found = imported("from stages import download, source\nassert source.main([]) == download.main([]) == 0", tmp_path)
    assert (tmp_path / "data/raw/dataset.json").exists()
    assert not found & (TRAINING | {"torch", "torchaudio", "sklearn"})


def test_the_kinds_that_are_right_at_a_glance_have_no_options() -> None:
    for kind in stage._PLAIN_KINDS:
        assert kind_named(kind).options_type.model_fields == {}
