"""What every stage's command promises: a code a class of error, one line, no work before all is checked, one writer."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import places, stage
from specnorm import errors, params
from specnorm.errors import DataError, IntegrityError, SpecnormError
from stages import download, normalizers, source, spectrograms, statistics, train

ROOT = Path(__file__).parents[2]
NAME = Path(__file__).stem
OUT = Path("data/out")
CODES = {
    errors.SpecnormError: 1,
    errors.ConfigurationError: 2,
    errors.DataError: 3,
    errors.IntegrityError: 4,
    errors.ResourceError: 5,
    errors.DivergenceError: 6,
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository with the committed parameters; what a run changes in this process is put back."""
    folder = tmp_path / "a folder, ü"
    folder.mkdir()
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    return folder


def edit(change: Callable[[dict[str, Any]], object]) -> None:
    path = Path("params.yaml")
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values))


class Work:
    """A stage's work, which says whether it began."""

    def __init__(self, ending: BaseException | None = None) -> None:
        self.began = 0
        self.ending = ending

    def run(self, *argv: str, outputs: tuple[Path, ...] = (OUT,)) -> int:
        def work(loaded: params.Params, parsed: argparse.Namespace) -> None:
            self.began += 1
            if self.ending is not None:
                raise self.ending

        return stage.run(work, list(argv), outputs=lambda _: list(outputs))


def test_a_stage_that_does_its_work_is_silent_and_ends_with_0(capfd: pytest.CaptureFixture[str]) -> None:
    work = Work()
    assert work.run() == 0
    assert work.began == 1
    assert capfd.readouterr() == ("", "")


def test_the_tree_of_errors_is_small_and_each_class_has_its_code() -> None:
    assert {SpecnormError, *SpecnormError.__subclasses__()} == CODES.keys()
    assert {error: error.exit_code for error in CODES} == CODES


@pytest.mark.parametrize("error", CODES)
def test_an_error_is_one_line_that_begins_with_the_stage_and_the_exit_code_of_its_class(
    error: type[SpecnormError], capfd: pytest.CaptureFixture[str]
) -> None:
    fault = error("a fault", where="some\nplace", expected="1\n2", got="3\t\t4", hint="Do\tthis")
    assert Work(fault).run() == CODES[error]
    assert capfd.readouterr() == ("", f"{NAME}: a fault in some place: expected 1 2, got 3 4. Do this\n")


def test_the_traceback_comes_with_v_and_before_the_line(capfd: pytest.CaptureFixture[str]) -> None:
    for flag in ("-v", "--verbose"):
        assert Work(errors.DataError("a fault")).run(flag) == 3
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("Traceback (most recent call last):\n")
        assert err.endswith(f"\n{NAME}: a fault\n")
        assert f'File "{__file__}"' in err


@pytest.mark.parametrize("error", [RuntimeError, ZeroDivisionError, OSError, MemoryError])
def test_what_is_a_bug_is_not_dressed_as_an_error_of_ours(error: type[Exception]) -> None:
    with pytest.raises(error, match="a bug"):
        Work(error("a bug")).run()


def test_an_interrupt_is_what_a_shell_calls_130(capfd: pytest.CaptureFixture[str]) -> None:
    assert Work(KeyboardInterrupt()).run() == 130
    assert capfd.readouterr() == ("", f"{NAME}: interrupted\n")


def test_a_scheduler_s_end_is_what_a_shell_calls_143(capfd: pytest.CaptureFixture[str]) -> None:
    """And the handler is put back."""
    before = signal.getsignal(signal.SIGTERM)

    def work(loaded: params.Params, parsed: argparse.Namespace) -> None:
        signal.raise_signal(signal.SIGTERM)

    assert stage.run(work, []) == 143
    assert capfd.readouterr() == ("", f"{NAME}: terminated\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_warning_for_the_user_is_one_line_and_others_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def work(loaded: params.Params, parsed: argparse.Namespace) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = shown
            warnings.warn("look here", UserWarning, stacklevel=1)
            warnings.warn("not here", DeprecationWarning, stacklevel=1)

    stage.run(lambda *_: None, [])
    shown = warnings.showwarning
    assert stage.run(work, []) == 0
    assert capfd.readouterr() == ("", "warning: look here\n")


@pytest.mark.parametrize("argv", [["--fold"], ["extra"], ["--norm", "global"]])
def test_an_unknown_argument_is_refused_before_anything_else(argv: list[str]) -> None:
    Path("params.yaml").unlink()
    work = Work()
    with pytest.raises(SystemExit) as caught:
        work.run(*argv)
    assert caught.value.code == 2
    assert work.began == 0


@pytest.mark.case("P1", "P3", "P5")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values["train"].update(epochs=0), "bad parameter train.epochs in params.yaml: "),
        (lambda values: values["spectrogram"].update(n_mel=3), "unknown parameter spectrogram.n_mel in params.yaml. "),
        (lambda values: values.pop("tracking"), "missing parameter tracking in params.yaml. "),
        (lambda values: values["norm"]["global"].update(kind="globl"), "expected one of channel, global, identity"),
        (lambda values: values["norm"]["global"].update(floor=1), "unknown parameter norm.global.floor"),
    ],
)
def test_any_bad_parameter_is_refused_before_any_work_and_any_file(
    change: Callable[[dict[str, Any]], object], message: str, capfd: pytest.CaptureFixture[str], place: Path
) -> None:
    """By every stage, also one that does not read that parameter, so that a long run cannot end in it."""
    edit(change)
    work = Work()
    assert work.run() == 2
    err = capfd.readouterr().err
    assert err.startswith(f"{NAME}: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert work.began == 0
    assert [path.name for path in place.iterdir()] == ["params.yaml"]


def test_without_parameters_every_stage_says_so_and_writes_nothing(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").unlink()
    mains: list[tuple[str, Callable[[list[str]], int], list[str]]] = [
        ("source", source.main, []),
        ("download", download.main, []),
        ("spectrograms", spectrograms.main, []),
        ("statistics", statistics.main, []),
        ("normalizers", normalizers.main, ["--norm", "global"]),
        ("train", train.main, ["--norm", "global", "--fold", "1", "--seed", "0"]),
    ]
    for name, main, argv in mains:
        assert main(argv) == 2
        assert capfd.readouterr().err == f"{name}: missing file in params.yaml. Restore it with `git checkout`\n"
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "main", "argv"),
    [("normalizers", normalizers.main, []), ("train", train.main, ["--fold", "1", "--seed", "0"])],
)
def test_a_mode_that_the_parameters_do_not_have_is_refused_before_any_file(
    name: str, main: Callable[[list[str]], int], argv: list[str], place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for mode in ("globl", "", "../../outside", "/outside"):
        assert main(["--norm", mode, *argv]) == 2
        err = capfd.readouterr().err
        assert err.startswith(f"{name}: no such mode in --norm: expected one of none, waveform, global, channel, got")
    assert [path.name for path in place.iterdir()] == ["params.yaml"]
    assert [path.name for path in place.parent.iterdir()] == [place.name]


@pytest.mark.case("P3")
def test_a_mode_that_git_does_not_know_is_told_where_an_experiment_runs_outside_of_the_workspace(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """DVC puts into an experiment's own folder what git knows; the parameters come from the workspace."""
    edit(lambda values: values["norm"].update(mine={"kind": "per_clip", "waveform": "raw"}))
    for folder in (place, place.parent / "repository"):
        (folder / "specnorm/normalization").mkdir(parents=True)
        (folder / "specnorm/normalization/base.py").touch()
    assert source.main([]) == 2
    unknown = "source: unknown kind of normaliser in norm.mine.kind: expected one of channel, global, identity, got"
    assert capfd.readouterr().err == f"{unknown} per_clip\n"
    monkeypatch.setenv("DVC_ROOT", f"{place.parent / 'repository'}")
    (place.parent / "repository/specnorm/normalization/per_clip.py").touch()
    assert source.main([]) == 2
    assert capfd.readouterr().err == (
        f"{unknown} per_clip. An experiment outside of the workspace has what git knows: "
        "`git add specnorm/normalization/per_clip.py` first\n"
    )


def test_a_missing_input_is_told_with_the_stage_that_makes_it(capfd: pytest.CaptureFixture[str]) -> None:
    for name, main in (("download", download.main), ("spectrograms", spectrograms.main)):
        assert main([]) == 4
        err = capfd.readouterr().err
        assert err.startswith(f"{name}: missing file in data/")
        assert "Run `dvc repro" in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("where", "maker"),
    [
        ("data/raw/clips.csv", "download"),
        ("data/spectrograms/raw/fold-1.npy, clip a.wav, bin 3, frame 4", "spectrograms"),
        ("data/statistics/fold-1/raw.json", "statistics"),
        ("data/normalizers/global_raw/fold-1.json", "normalizers@global_raw"),
        ("data/cells/global_raw/fold-1/seed-0/run.json", "train@global_raw-1-0"),
        ("data/comparison", "compare"),
    ],
)
def test_what_is_damaged_is_told_with_the_stage_that_makes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str, maker: str
) -> None:
    """The library names the file; that a stage makes it, and how to run that, only the pipeline knows."""
    raised: list[SpecnormError] = []

    def work(*_: object) -> None:
        raise raised[-1]

    for error, line in (
        (
            IntegrityError("damaged", where=Path(where)),
            f"damaged in {where}. Run `dvc repro -f -s {maker}` to make it again",
        ),
        (IntegrityError("damaged", where=where, hint="Do this"), f"damaged in {where}. Do this"),
        (DataError("damaged", where=where), f"damaged in {where}"),
        (IntegrityError("damaged", where="params.yaml"), "damaged in params.yaml"),
        (IntegrityError("damaged", where=f"../mine/{where}"), f"damaged in ../mine/{where}"),  # the user's own
    ):
        raised.append(error)
        assert stage.run(work, []) == error.exit_code
        assert capsys.readouterr().err.partition(": ")[2] == f"{line}\n"


def test_the_library_names_no_command_of_the_pipeline() -> None:
    """A regression: hints in the library told its users, who may have no pipeline, to run DVC."""
    for path in (ROOT / "specnorm").rglob("*.py"):
        if path.parent.name != "tracking":  # whose runs say what made them
            assert not re.search(r"dvc (repro|exp run|checkout)|Try -S|Use -S", path.read_text()), path


# --- outputs


@pytest.mark.case("F8")
def test_a_place_that_cannot_be_written_is_refused_before_any_work(capfd: pytest.CaptureFixture[str]) -> None:
    """Not after an hour of it."""
    Path("data").write_text("a file where a folder should be")
    work = Work()
    assert work.run() == 5
    assert capfd.readouterr().err.startswith(f"{NAME}: cannot write to a folder in data/out: got ")
    assert work.began == 0


@pytest.mark.case("F13")
def test_what_an_interrupted_run_left_is_removed_first(place: Path) -> None:
    """At any depth: shards and statistics stand below their output's folder."""
    stale = [OUT / ".a.json.1.partial", OUT / "raw" / ".fold-1.npy.2.partial"]
    kept = [OUT / "raw" / "fold-1.npy", Path("data/other/.b.json.3.partial")]
    for path in stale + kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert Work().run() == 0
    assert not [path for path in stale if path.exists()]
    assert all(path.exists() for path in kept)  # the other folder is another stage's


@pytest.mark.case("F13")
def test_nothing_is_removed_under_a_stage_that_is_at_work(place: Path) -> None:
    """The partial file of a live writer is no leftover."""
    partial = OUT / "raw" / ".fold-1.npy.2.partial"
    with held(place):
        partial.parent.mkdir(parents=True)
        partial.write_text("")
        assert Work().run() == 5
        assert partial.exists()
    assert Work().run() == 0
    assert not partial.exists()


# The same outputs, hence the same lock, from another process: its stage works until its standard input ends.
# A regression: its module is __main__ without a file, and the stage's frame must still find a name.
HOLDER = """
import sys
from pathlib import Path
from pipeline import places, stage

def work(params, arguments):
    print("at work", flush=True)
    sys.stdin.read()

sys.exit(stage.run(work, [], outputs=lambda _: [Path(name) for name in sys.argv[1:]]))
"""


class held:
    """Another process with a stage at work in the same repository."""

    def __init__(self, place: Path, *outputs: Path) -> None:
        outputs = outputs or (OUT,)
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, *map(str, outputs)],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "at work\n"

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.case("F12", "V7")
def test_a_second_process_of_a_stage_is_refused_and_names_the_first(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """DVC was killed, its child lives on, and `dvc repro` starts another."""
    work = Work()
    with held(place) as process:
        assert work.run() == 5
        assert work.began == 0
        assert capfd.readouterr().err == (
            f"{NAME}: another process is doing the same work in data-out: got a lock held by process {process.pid}. "
            "Wait until it has ended, then run the command again\n"
        )
        assert work.run(outputs=(Path("data/other"),)) == 0  # other outputs are other work
        process.communicate("")
        assert process.returncode == 0
    assert work.run() == 0
    assert work.began == 2


@pytest.mark.case("F12")
def test_a_killed_stage_gives_its_lock_back(place: Path) -> None:
    with held(place) as process:
        process.kill()
        process.wait()
        assert Work().run() == 0


def test_a_stage_refused_at_its_second_output_gives_the_first_back(place: Path) -> None:
    with held(place, Path("data/b")):
        assert Work().run(outputs=(Path("data/a"), Path("data/b"))) == 5
        assert Work().run(outputs=(Path("data/a"),)) == 0


def test_each_cell_has_a_lock_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[Path]] = []

    def run(work: object, argv: object, *, outputs: Any, arguments: Any) -> int:
        parser = argparse.ArgumentParser()
        arguments(parser)
        asked.append(outputs(parser.parse_args(argv)))
        return 0

    monkeypatch.setattr(stage, "run", run)
    for cell in (("global", "1", "0"), ("global", "1", "1"), ("global", "2", "0"), ("none", "1", "0")):
        norm, fold, seed = cell
        train.main(["--norm", norm, "--fold", fold, "--seed", seed])
    assert asked == [
        [Path("data/cells/global/fold-1/seed-0")],
        [Path("data/cells/global/fold-1/seed-1")],
        [Path("data/cells/global/fold-2/seed-0")],
        [Path("data/cells/none/fold-1/seed-0")],
    ]


# --- places


def test_the_root_is_the_repository_that_dvc_names(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert places.root() == place
    monkeypatch.setenv("DVC_ROOT", "")
    assert places.root() == place
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert places.root() == tmp_path
    assert places.cache() == tmp_path / ".cache"
    monkeypatch.setenv("DVC_ROOT", "..")
    assert places.root() == tmp_path


def test_a_source_is_found_from_the_repository_and_not_from_an_experiment_s_copy(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`dvc exp run --temp` works in a copy, where a relative `dataset.source` is not."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    edit(lambda values: values["dataset"].update(source="nowhere.zip"))
    assert source.main([]) == 3
    assert f"missing source in {tmp_path / 'nowhere.zip'}" in capfd.readouterr().err


def test_a_stage_is_known_by_its_module_s_name_also_as_a_program(place: Path) -> None:
    """As `python -m stages.download` the module is called __main__."""
    Path("params.yaml").unlink()
    for flags, last in (([], 1), (["-v"], 6)):
        found = subprocess.run(
            [sys.executable, "-m", "stages.download", *flags],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (found.returncode, found.stdout) == (2, "")
        lines = found.stderr.splitlines()
        assert lines[-1] == "download: missing file in params.yaml. Restore it with `git checkout`"
        assert len(lines) == 1 if last == 1 else len(lines) >= last
        assert ("Traceback (most recent call last):" in lines) == bool(flags)
