"""Where cells run is told apart from the parameters: what is in conf/executor/, what may be set of it, and JOBS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import share
from pipeline.scale import __main__ as scale
from pipeline.scale import executor
from pipeline.scale.executor import ExecutorParams
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


@pytest.mark.parametrize("target", ["repro", "demo"])
@pytest.mark.parametrize("jobs", ["", "1", "4"])
def test_make_takes_ray_for_more_than_one_job(target: str, jobs: str) -> None:
    done = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "-o", ".venv/.ready", target, f"JOBS={jobs}"], capture_output=True, text=True
    )
    plain, experiment = {
        "repro": ("dvc repro", ""),
        "demo": ("python -m pipeline.quiet_dvc exp run", " -S experiment=demo"),
    }[target]
    wanted = f"python -m pipeline.scale run train executor=ray executor.jobs={jobs}" if jobs == "4" else plain
    assert wanted + experiment in [line.strip() for line in done.stdout.splitlines()]


def test_without_ray_it_is_said_at_once_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    before = (ROOT / "params.yaml").read_bytes()
    assert scale.main(["run", "train", "executor=ray", "-S", "experiment=demo"]) == 2
    assert capfd.readouterr() == (
        "",
        "scale: Ray is not installed. pip install 'specnorm[ray]' brings it; one job at a time needs none\n",
    )
    assert (ROOT / "params.yaml").read_bytes() == before


def test_a_cpu_has_no_use_for_more_jobs_than_cores(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(share, "cores", lambda: 2)
    monkeypatch.setenv("PATH", "")  # without nvidia-smi
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert scale.main(["run", "train", "executor=ray", "executor.jobs=3"]) == 2
    assert "in executor.jobs: expected 1 to 2, the cores that this process may use, got 3" in capfd.readouterr().err


def test_few_cells_share_all_cores_and_a_clusters_take_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(share, "cores", lambda: 8)
    two = ExecutorParams(kind="ray", jobs=2)
    assert [scale._environment(two, cells) for cells in (20, 1)] == [
        {"OMP_NUM_THREADS": threads, "SPECNORM_MEMORY_SHARE": part} for threads, part in (("4", "0.5"), ("8", "1.0"))
    ]
    elsewhere = ExecutorParams(kind="ray", address="10.0.0.1:6379", cpus=3)
    assert share.threads(scale._environment(elsewhere, 20)) == 3
    assert share.threads(scale._environment(ExecutorParams(kind="local", threads=5), 20)) == 5
