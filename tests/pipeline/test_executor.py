"""Where cells run is told apart from the parameters: what is in conf/executor/, and what may be set of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.scale import executor
from specnorm.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("path", sorted((ROOT / "conf/executor").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_executor_alone_is_accepted(path: Path) -> None:
    assert executor.load([f"executor={path.stem}"]).kind == path.stem


def test_one_cell_after_another_is_what_is_done_unasked() -> None:
    found = executor.load([])
    assert (found.kind, found.jobs, found.remote) == ("local", 1, None)


def test_values_are_set_by_their_names() -> None:
    found = executor.load(["executor=ray", "executor.jobs=3", "executor.gpus=0.5", "executor.remote=store"])
    assert (found.jobs, found.gpus, found.remote) == (3, 0.5, "store")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["executor=slurm"], "no such executor in conf/executor: expected one of local, ray, got slurm"),
        (["executor.jobs=0"], "jobs"),
        (["executor.job=2"], "job"),
        (["executor.jobs=many"], "jobs"),
    ],
)
def test_what_is_none_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        executor.load(words)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
