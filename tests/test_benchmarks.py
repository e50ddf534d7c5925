"""The measuring itself: turns, ratios, intervals, and reports that are whole as far as a machine goes."""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import gpu, growth, precision, wheels
from benchmarks.measure import Figures, in_turns
from benchmarks.workspace import Workspace


def test_every_subject_has_its_turn_each_round_and_the_order_alternates() -> None:
    called: list[str] = []

    def subject(name: str, value: float):
        def measure() -> float:
            called.append(name)
            return value + called.count(name)

        return measure

    found = in_turns({"a": subject("a", 0), "b": subject("b", 10)}, 3)
    assert called == ["a", "b", "b", "a", "a", "b"]
    assert {name: figures.values for name, figures in found.items()} == {"a": [1, 2, 3], "b": [11, 12, 13]}


def test_a_ratio_is_formed_round_by_round() -> None:
    """On a machine that slows down by half in the second round, both figures halve and the ratio stays."""
    ours, theirs = Figures([30.0, 15.0, 31.0]), Figures([10.0, 5.0, 10.0])
    assert ours.over(theirs).values == pytest.approx([3.0, 3.0, 3.1])
    assert ours.over(theirs).text() == "3 (3 to 3.1)"
    with pytest.raises(ValueError, match="zip"):
        ours.over(Figures([1.0]))


def test_the_median_and_the_spread_are_told() -> None:
    assert Figures([5.0, 1.0, 2.0]).text() == "2 (1 to 5)"
    assert Figures([123.456, 120.0]).text(4) == "121.7 (120 to 123.5)"


def test_a_new_report_keeps_the_notes_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    assert bench.kept(path) == ""
    path.write_text("# Benchmarks\n\nfigures\n")
    assert bench.kept(path) == ""
    path.write_text(f"# Benchmarks\n\nfigures\n\n{bench.NOTES}\nA note.\n")
    assert bench.kept(path) == f"\n{bench.NOTES}\nA note.\n"


def test_the_interval_of_a_mean_is_students() -> None:
    """Sleep (Student 1908): ten paired differences with mean 1.58 and 95 % interval 0.70 to 2.46."""
    gained = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert precision.interval(gained) == "+1.5800 (+0.7001 to +2.4599)"


def test_a_machine_that_lacks_a_measured_package_still_has_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_librosa(package: str) -> str:
        if package == "librosa":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr("importlib.metadata.version", without_librosa)
    text = "\n".join(bench.head("cpu", data="clips"))
    assert "torch 2.11" in text
    assert "librosa" not in text


def test_the_wheels_are_all_that_the_benchmark_imports_but_torch() -> None:
    found = wheels.needed("3.12")
    assert {"dvc", "fastai", "mlflow", "pyarrow", "torchvision", "antlr4-python3-runtime"} <= found.keys()
    assert not {"torch", "torchaudio", "triton", "librosa", "pytest"} & found.keys()
    assert found["dvc"] == version("dvc")


class Machine(Workspace):
    """A workspace whose measuring is scripted."""

    def asked(self, *command: str) -> dict[str, float]:
        if "compiled" in command:
            raise RuntimeError("benchmarks.trainers gave 1:\nTraceback\nRuntimeError: Cannot find a working triton")
        rate = {"ours": 90.0, "fastai": 30.0, "notebook": 9.0}[command[1]]
        return {"samples_per_second": rate, "wall_seconds": 12.0, "timed_seconds": 2.0, "peak_memory_mb": 1000.0}


def test_a_trainer_that_a_machine_cannot_run_costs_its_own_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "matrix_product_tflops", lambda *_: 1.89)
    text = "\n".join(gpu.training(Machine(Path()), "cpu", 2, [], list(gpu.TRAINERS)))
    # 90 samples/s: three times fastai, ten times the notebook, 90 * 21 GFLOP of 1.89 TFLOP, 10 s and 500 * 64 / 90.
    assert "| ours, fp32 | 90 (90 to 90) | 3 (3 to 3) | 10 (10 to 10) | 100.0% | 365.6 | 1000 |" in text
    assert "**ours, bf16, compiled failed:** `RuntimeError: Cannot find a working triton`" in text
    assert "nan" not in text
    alone = "\n".join(gpu.training(Machine(Path()), "cpu", 1, [], ["ours, fp32"]))
    assert "over fastai" not in alone
    assert not math.isnan(float(alone.split("| ours, fp32 | ")[1].split()[0]))


@pytest.mark.pipeline
def test_the_gpu_benchmark_runs_through_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as a CPU goes: real clips' shapes, both trainers, a whole cell, in processes of their own."""
    out = tmp_path / "report.md"
    few = ["--sources", "1", "--batch", "4", "--epochs", "1", "--rounds", "1", "--warm-up", "1", "--steps", "1"]
    parts = ["--parts", "training", "overhead", "--only", "ours, fp32", "fastai, fp32"]
    assert gpu.main(["--device", "cpu", "--out", str(out), *few, *parts]) == 0
    text = out.read_text()
    assert text.startswith("# Benchmarks\n")
    assert "failed" not in text
    rows = {line.split(" | ")[0]: line.split(" | ")[1:] for line in text.splitlines() if line.startswith("| ")}
    for trainer in ("| ours, fp32", "| fastai, fp32"):
        assert float(rows[trainer][0].split()[0]) > 0
    assert "## A cell's process less its epochs" in text


def test_a_curve_has_two_sizes_at_the_least_and_an_exponent() -> None:
    assert growth._sizes((4, 8, 16), 1.0) == (4, 8, 16)
    assert growth._sizes((1000, 10_000, 30_000), 0.4) == (1000, 10_000)
    assert growth._sizes((4, 8, 16), 0.1) == (4, 8)
    quadratic = growth.Curve("what", "clips", [growth.Point(10, 1.0, 0.0), growth.Point(100, 100.0, 0.0)])
    assert quadratic.exponent == pytest.approx(2)


def test_the_figures_of_growth_replace_those_of_before_and_nothing_else() -> None:
    page = f"# A page\n\n{growth.BEGIN}\nold\n{growth.END}\n\nThe rest.\n"
    curve = growth.Curve("what", "clips", [growth.Point(10, 1.5, 70.0), growth.Point(100, 15.0, 0.0)])
    written = growth.written(page, [curve])
    assert written.startswith("# A page\n\n")
    assert written.endswith(f"{growth.END}\n\nThe rest.\n")
    assert "| what | 10 clips: 1.5 (70); 100 clips: 15 | 1.00 |" in written
    assert "old" not in written
    assert growth.written(written, [curve]) == written
