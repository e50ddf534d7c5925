"""The pipeline with several cells at a time, with a stand-in for DVC that writes down what it was asked."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import machine, parallel
from pipeline.machine import Core
from specnorm import params

ROOT = Path(__file__).parents[2]

# Says what DVC 3.67 says. The file `<cell>.py` is what the cell's command does.
DVC = """
import json, sys
from pathlib import Path
words = sys.argv[1:]
with open("calls", "a") as calls:
    calls.write(" ".join(words) + "\\n")
if "status" in words:
    print(json.dumps({cell: [{"changed outs": {}}] for cell in json.loads(Path("changed").read_text())}))
elif "--single-item" in words:
    cell = words[-1]
    work = Path(f"{cell}.py")
    print(f"Running stage '{cell}':\\n> python -m stages.train --norm x", flush=True)
    code = 0
    if work.exists():
        try:
            exec(work.read_text())
        except SystemExit as error:
            code = error.code
    if code:
        print(f"ERROR: failed to reproduce '{cell}': failed to run: python -m stages.train, exited with {code}")
        sys.exit(255)
    print("Updating lock file 'dvc.lock'\\n\\nTo track the changes with git, run:\\n\\n\\tgit add dvc.lock\\n")
    print("To enable auto staging, run:\\n\\n\\tdvc config core.autostage true")
    print("Use `dvc push` to send your updates to remote storage.")
elif Path(f"{words[0]}.code").exists():
    sys.exit(int(Path(f"{words[0]}.code").read_text()))
"""
CELLS = ["train@none-1-0", "train@none-2-0", "train@global-1-0", "train@global-2-0"]
STATUS = "--wait-for-lock status --json train"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed parameters and their sources, four cells to do, two cores, no GPU."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("dvc.py").write_text(DVC)
    changed(CELLS)
    monkeypatch.setattr(parallel, "_dvc", lambda: [sys.executable, "dvc.py"])
    core = machine.cores_of_this_process()[0].number
    monkeypatch.setattr(machine, "cores_of_this_process", lambda: [Core(core, 0), Core(core, 1)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def changed(cells: list[str]) -> None:
    Path("changed").write_text(json.dumps(cells))


def calls() -> list[str]:
    return Path("calls").read_text().splitlines() if Path("calls").exists() else []


def cell_call(cell: str) -> str:
    return f"--wait-for-lock repro --single-item {cell}"


def test_the_steps_and_their_order() -> None:
    assert parallel.main(["--jobs", "2"]) == 0
    first, second, *cells, last = calls()
    assert [first, second, last] == ["repro normalizers", STATUS, "repro"]
    assert sorted(cells) == sorted(map(cell_call, CELLS))


def test_one_job_is_one_cell_after_another() -> None:
    assert parallel.main(["--jobs", "1"]) == 0
    assert calls()[2:-1] == list(map(cell_call, CELLS))


def test_cells_that_are_done_cost_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    changed([])
    assert parallel.main(["--jobs", "2"]) == 0
    assert calls() == ["repro normalizers", STATUS, "repro"]
    assert capfd.readouterr() == ("", "")
    changed(CELLS[3:])
    assert parallel.main(["--jobs", "2"]) == 0
    assert calls()[5:-1] == [cell_call(CELLS[3])]


def test_overrides_are_composed_first_and_recorded_last() -> None:
    assert parallel.main(["--jobs", "2", "-S", "experiment=demo", "-S", "norm=[none,global]"]) == 0
    assert calls()[0] == "repro normalizers"
    assert calls()[-1] == "exp run -S experiment=demo -S norm=[none,global]"
    composed = yaml.safe_load(Path("params.yaml").read_text())
    assert composed["recipe"] == "demo"
    assert list(composed["norm"]) == ["none", "global"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-S", "norm=globl"], "no such option in conf/norm: expected one of channel, "),
        (["-S", "norm=[none,globl]"], "none, post, waveform, got globl. Did you mean global?"),
        (
            ["-S", "experiment=demo", "-S", "dataset=esc10"],
            "parameter dataset.folds in params.yaml. conf/experiment/demo.yaml sets it for another dataset: leave out",
        ),
        (["-S", "nothing=1"], "Could not override 'nothing'"),
        (["-S", "norm=[a"], "no viable alternative"),
        (["-S", "train.epochs=0"], "bad parameter train.epochs in params.yaml: expected at least 1, got 0"),
        (["--jobs", "3"], "in --jobs: expected 1 to 2, the cores that this process may use, got 3"),
        (["--jobs", "0"], "in --jobs: expected 1 to 2, the cores that this process may use, got 0"),
    ],
)
def test_a_bad_request_is_one_line_and_nothing_is_run(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert parallel.main(["--jobs", "2", *arguments]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("parallel: ")
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert calls() == []


def test_lines_carry_their_cell_and_dvcs_own_are_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    Path(f"{CELLS[0]}.py").write_text("print('epoch 1/1  loss 2.0')")
    assert parallel.main(["--jobs", "2"]) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0] == "parallel: cells to do: 4, at a time: 2, threads of each: 1"
    assert "train@none-1-0   | epoch 1/1  loss 2.0" in lines
    assert lines[-1].startswith("parallel: 4 trained, in ")
    begins = [line for line in lines if " | cell " in line]
    assert (
        begins[0]
        == "train@none-1-0   | cell 17 of 20 (none, fold 1, seed 0), how long the others take is known after it"
    )
    assert [line.partition(" of 20 (")[0].split()[-1] for line in begins] == ["17", "18", "19", "20"]
    assert begins[3].partition(", about ")[2].endswith(" left")  # by those that have ended here
    table = lines.index("accuracy (%)  fold 1  fold 2  fold 3  fold 4  fold 5  mean")
    assert [row.split()[0] for row in lines[table + 1 : table + 5]] == ["none", "waveform", "global", "channel"]
    ends = [line for line in lines[1:-1] if " | done after " in line]
    assert sorted(line.split("|")[0].strip() for line in ends) == sorted(CELLS)
    assert ends[-1].endswith(", 4 of 4")


def test_a_cell_from_dvcs_cache_is_not_called_trained(capfd: pytest.CaptureFixture[str]) -> None:
    text = f"Stage '{CELLS[0]}' is cached - skipping run, checking out outputs"
    Path("dvc.py").write_text(
        DVC.replace('    print(f"Running', f'    print({text!r}); sys.exit()\n    print(f"Running')
    )
    changed(CELLS[:1])
    assert parallel.main(["--jobs", "2"]) == 0
    out = capfd.readouterr().out
    assert f"{CELLS[0]} | {text}\n" in out
    assert "parallel: 1 from the cache, in " in out


def test_a_failed_cell_is_the_last_word(capfd: pytest.CaptureFixture[str]) -> None:
    Path(f"{CELLS[0]}.py").write_text("print('train: a loss that is no number'); sys.exit(6)")
    assert parallel.main(["--jobs", "1"]) == 6
    assert calls()[2:] == [cell_call(CELLS[0])]  # no other cell, no comparison
    out, err = capfd.readouterr()
    assert "train@none-1-0   | failed after " in out
    assert err.splitlines()[0].startswith("parallel: 1 failed, 3 not started, in ")
    assert err.splitlines()[1:] == [f"parallel: {CELLS[0]} failed with exit code 6: train: a loss that is no number"]


def test_keep_going_does_the_other_cells_and_still_fails(capfd: pytest.CaptureFixture[str]) -> None:
    Path(f"{CELLS[0]}.py").write_text("print('train: first'); sys.exit(6)")
    Path(f"{CELLS[2]}.py").write_text("print('train: second'); sys.exit(5)")
    assert parallel.main(["--jobs", "1", "--keep-going"]) == 6
    assert calls()[2:] == list(map(cell_call, CELLS))
    err = capfd.readouterr().err.splitlines()
    assert err[0].startswith("parallel: 2 trained, 2 failed, in ")
    assert [line.rpartition(": ")[2] for line in err[1:]] == ["first", "second"]


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ("ERROR: failed to reproduce 'x': failed to run: python, exited with -9", 137, "exited with -9"),
        ("ERROR: unexpected error - no space left", 255, "ERROR: unexpected error - no space left"),
        ("", 255, "it printed nothing"),
    ],
)
def test_a_cell_that_could_not_say_why(said: str, code: int, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("dvc.py").write_text(DVC.replace("    cell = words[-1]", f"    print({said!r}, end=''); sys.exit(255)"))
    changed(CELLS[:1])
    assert parallel.main(["--jobs", "1"]) == code
    assert capfd.readouterr().err.endswith(f"{words}\n")


@pytest.mark.parametrize(("step", "made"), [("repro", 1), ("--wait-for-lock", 2)])
def test_a_step_that_dvc_refuses_ends_the_run(step: str, made: int) -> None:
    Path(f"{step}.code").write_text("255")
    Path("dvc.py").write_text(DVC.replace('if "status" in words:', 'if "status" in words and words[0] == "no":'))
    assert parallel.main(["--jobs", "2"]) == {1: 255, 2: 5}[made]
    assert len(calls()) == made


def test_an_end_by_signal_says_that_a_second_run_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    Path(f"{CELLS[0]}.py").write_text("import os, time; os.kill(os.getppid(), 15); time.sleep(600)")
    assert parallel.main(["--jobs", "1"]) == 128 + signal.SIGTERM
    assert capfd.readouterr().err.endswith("parallel: ended by SIGTERM; run the same command again to go on\n")
    Path(f"{CELLS[0]}.py").unlink()
    assert parallel.main(["--jobs", "1"]) == 0


def test_few_cells_share_all_cores() -> None:
    loaded = params.load(Path("params.yaml"))
    one = loaded.model_copy(update={"norm": {"none": loaded.norm["none"]}})
    one = one.model_copy(update={"protocol": loaded.protocol.model_copy(update={"folds": [1]})})
    assert [share.threads for share in parallel._plan(2, loaded)] == [1, 1]
    assert [share.threads for share in parallel._plan(2, one)] == [2]


@pytest.mark.parametrize(
    ("device", "gpus"),
    [("auto", ["0", "1"]), ("cuda", ["0", "1"]), ("cuda:1", ["cuda:1"]), ("cpu", []), ("mps", [])],
)
def test_cells_are_spread_over_gpus_unless_one_is_named(
    device: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert parallel._gpus(device) == gpus


@pytest.mark.parametrize("target", ["repro", "demo"])
@pytest.mark.parametrize("jobs", ["", "1", "4"])
def test_make_calls_it_for_more_than_one_job(target: str, jobs: str) -> None:
    done = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "-o", ".venv/.ready", target, f"JOBS={jobs}"], capture_output=True, text=True
    )
    plain, experiment = {
        "repro": ("dvc repro", ""),
        "demo": ("python -m pipeline.quiet_dvc exp run", " -S experiment=demo"),
    }[target]
    wanted = f"python -m pipeline.parallel --jobs {jobs}" if jobs == "4" else plain
    assert wanted + experiment in [line.strip() for line in done.stdout.splitlines()]
