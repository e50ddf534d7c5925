"""A stage killed at any step leaves whole files or none, and its rerun what a clean run leaves."""

from __future__ import annotations

import copy
import hashlib
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from specnorm.datasets.dataset import open_dataset
from specnorm.errors import IntegrityError
from specnorm.params import WAVEFORMS
from specnorm.shards.store import open_shards
from tests.datasets.layouts import cut_rows, esc_members, esc_params, write_folder, write_zip
from tests.faults.crash import Ended, Stages, reset, stages, tree, wrong

PARAMS: dict[str, Any] = {
    "recipe": "crash",
    "dataset": {
        "kind": "synthetic",
        "name": None,
        "sources": 1,
        "clips": 1,
        "folds": 2,
        "sample_rate": 8000,
        "clip_seconds": 0.25,
        "seed": 0,
    },
    "spectrogram": {
        "transform": "linear",
        "sample_rate": 8000,
        "resampler": "polyphase",
        "clip_seconds": 0.25,
        "n_fft": 64,
        "win_length": 64,
        "hop_length": 64,
        "amin": 1e-10,
        "top_db": None,
    },
    "statistics": {"fraction": 1.0, "seed": 0},
    "norm": {
        "none": {"kind": "identity", "waveform": "raw"},
        "channel": {"kind": "channel", "waveform": "standardized"},
    },
    "protocol": {"folds": [1, 2], "seeds": [0]},
    "model": {"name": "xresnet18", "stem_init": "published"},
    "train": {
        "epochs": 1,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "weight_decay": 0.01,
        "device": "cpu",
        "precision": "fp32",
        "memory_gb": None,
    },
    "compare": {"baseline": "none", "incomplete_folds": "refuse", "margin": 0.01, "sure": 0.8, "sounds": 12},
    "tracking": {"experiment": "crash", "required": False, "models": "recommended"},
}


@dataclass(frozen=True)
class Stage:
    command: tuple[str, ...]
    out: str
    manifest: str | None = None  # the file that makes the folder valid, where there is one
    steps: tuple[str, ...] = ()  # that it takes besides flush, rename and removal

    def __str__(self) -> str:
        return self.command[0]


SOURCE = Stage(("source",), "data/source", "identity.json")
DOWNLOAD = Stage(("download",), "data/raw", "dataset.json", ("writestr",))
SPECTROGRAMS = Stage(("spectrograms",), "data/spectrograms", "manifest.json", ("append", "link"))
STATISTICS = Stage(("statistics",), "data/statistics")
NORMALIZERS = Stage(("normalizers", "--norm", "channel"), "data/normalizers/channel")
PIPELINE = [SOURCE, DOWNLOAD, SPECTROGRAMS, STATISTICS, NORMALIZERS]
each_stage = pytest.mark.parametrize("stage", PIPELINE, ids=str)


def changed(**sections: dict[str, Any]) -> dict[str, Any]:
    values = copy.deepcopy(PARAMS)
    for section, changes in sections.items():
        values[section] |= changes
    return values


@pytest.fixture(scope="module")
def forks() -> Iterator[Stages]:
    with stages() as started:
        yield started


def build(forks: Stages, folder: Path, values: dict[str, Any]) -> Path:
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    for stage in PIPELINE:
        ended = forks.run(folder, *stage.command)
        assert ended.code == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def clean(forks: Stages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every stage ran to its end."""
    return build(forks, tmp_path_factory.mktemp("clean") / "run", PARAMS)


@pytest.fixture
def place(clean: Path, tmp_path: Path) -> Path:
    """A copy of it, to break."""
    return Path(shutil.copytree(clean, tmp_path / "place"))


def points(forks: Stages, place: Path, stage: Stage) -> list[str]:
    reset(place, stage.out)
    ended = forks.run(place, *stage.command)
    assert ended.code == 0, ended.stderr
    return ended.points


def chosen(found: list[str]) -> list[int]:
    """Every point but those of rows, members, chunks, of which the first, the last and some between stand for all."""
    inside = [number for number, name in enumerate(found) if name.split()[0] in ("append", "writestr", "write")]
    some = set(inside[:2] + inside[2:-2:31] + inside[-2:])
    return [number for number in range(len(found)) if number not in inside or number in some]


def test_a_clean_run_is_the_same_bytes_again(forks: Stages, clean: Path, tmp_path: Path) -> None:
    """Without this, no rerun could be compared with anything."""
    again = build(forks, tmp_path / "again", PARAMS)
    assert tree(again / "data") == tree(clean / "data")


@each_stage
def test_every_step_that_changes_files_is_a_point(forks: Stages, place: Path, stage: Stage) -> None:
    """Every file of the output came by a flush and then a rename, so the sweep below stops at all of them."""
    found = points(forks, place, stage)
    files = len(tree(place / stage.out)) + len([*place.rglob("part.json")])  # and what is kept for the next run
    for step in ("fsync", "replace"):
        assert found.count(f"{step} before") == found.count(f"{step} after") == files
    assert {name.split()[0] for name in found} == {"fsync", "replace", "unlink", *stage.steps}


@pytest.mark.case("F6")
@each_stage
def test_killed_at_any_point_it_leaves_whole_files_or_none_and_its_rerun_ends_clean(
    forks: Stages, clean: Path, place: Path, stage: Stage
) -> None:
    expected = tree(clean / stage.out)
    found = points(forks, place, stage)
    partials = 0
    for number in chosen(found):
        where = f"point {number} of {len(found)}, {found[number]}"
        reset(place, stage.out)
        ended = forks.run(place, *stage.command, kill_at=number)
        assert ended.code == -signal.SIGKILL, where
        assert ended.points == found[: number + 1], where
        assert wrong(place / stage.out, expected, stage.manifest) == [], where
        partials += any(name.endswith(".partial") for name in tree(place / stage.out))
        again = forks.run(place, *stage.command)
        assert (again.code, again.stderr) == (0, ""), where
        assert tree(place / stage.out) == expected, where
    assert partials > 0  # some of the kills did come in the middle of a file


def esc_section(**changes: Any) -> dict[str, Any]:
    return esc_params(**changes).model_dump()


@pytest.mark.case("Z9")
@pytest.mark.parametrize(
    ("way", "step"),
    [
        ("copy", "copyfile half"),
        ("pack", "write after"),
        ("link", "link after"),
        ("copy of a download", "copyfile half"),
    ],
)
def test_an_archive_that_is_brought_in_is_whole_or_absent_wherever_it_is_killed(
    forks: Stages, place: Path, way: str, step: str
) -> None:
    """What is there already is copied, a folder is packed, a download is linked or, from another disk, copied."""
    members = esc_members(cut_rows()) | {"ESC-50-master/audio/more.wav": b""}
    packed = write_zip(place / "esc.zip", members)
    write_folder(place / "esc", members)
    section = esc_section(source={"copy": "esc.zip", "pack": "esc"}.get(way))
    if section["source"] is None:
        section["md5"] = hashlib.md5(packed.read_bytes()).hexdigest()
    kept = place / f".cache/downloads/esc50-{hashlib.sha256(section['url'].encode()).hexdigest()[:12]}.zip"
    (place / "params.yaml").write_text(yaml.safe_dump(PARAMS | {"dataset": section}))

    def run(**faults: Any) -> Ended:
        if section["source"] is None:  # one that is kept costs no request
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(packed, kept)
        switches = {"packing": way == "pack", "no_links": way == "copy of a download"}
        return forks.run(place, *DOWNLOAD.command, **switches, **faults)

    reset(place, DOWNLOAD.out)
    assert forks.run(place, *SOURCE.command).code == 0
    ended = run()
    assert ended.code == 0, ended.stderr
    assert step in ended.points
    expected, said = tree(place / DOWNLOAD.out), ended.stderr
    partials = 0
    # The table and the manifest come after it, as after any archive: their points are in the sweep above.
    last = [number for number, point in enumerate(ended.points) if point == "fsync before"][1]
    for number in (number for number in chosen(ended.points) if number <= last):
        point = ended.points[number]
        reset(place, DOWNLOAD.out)
        killed = run(kill_at=number)
        assert killed.code == -signal.SIGKILL, point
        assert wrong(place / DOWNLOAD.out, expected, DOWNLOAD.manifest) == [], point
        partials += any(name.endswith(".partial") for name in tree(place / DOWNLOAD.out))
        again = run()
        assert (again.code, again.stderr) == (0, said), point
        assert tree(place / DOWNLOAD.out) == expected, point
    assert partials > 0


def test_the_sweep_sees_a_writer_that_writes_in_place(forks: Stages, clean: Path, place: Path) -> None:
    """The test above has power."""
    for stage in (DOWNLOAD, SPECTROGRAMS):
        expected = tree(clean / stage.out)
        reset(place, stage.out)
        found = forks.run(place, *stage.command, naive=True)
        assert (found.code, tree(place / stage.out)) == (0, expected)
        seen = set()
        for number in chosen(found.points):
            reset(place, stage.out)
            forks.run(place, *stage.command, naive=True, kill_at=number)
            seen |= {fault.partition(" is ")[2] for fault in wrong(place / stage.out, expected, stage.manifest)}
        assert "half written" in seen


@each_stage
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_that_asks_for_the_end_leaves_no_partial_file(
    forks: Stages, clean: Path, place: Path, stage: Stage, number: signal.Signals, code: int, word: str
) -> None:
    """A person's Ctrl-C, or a scheduler's SIGTERM."""
    found = points(forks, place, stage)
    # The two differ in what catches them, not in where they come: one of them looks at every point.
    for point in chosen(found)[:: 1 if number == signal.SIGINT else 4]:
        reset(place, stage.out)
        ended = forks.run(place, *stage.command, kill_at=point, signal=int(number))
        if ended.code:
            assert (ended.code, ended.stderr) == (code, f"{stage}: {word}\n"), found[point]
        assert wrong(place / stage.out, tree(clean / stage.out), stage.manifest) == []
        assert not [name for name in tree(place / stage.out) if name.endswith(".partial")], found[point]


@pytest.fixture(scope="module")
def other(forks: Stages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What another run with other settings left in the same places."""
    values = changed(dataset={"seed": 1}, spectrogram={"hop_length": 32})
    return build(forks, tmp_path_factory.mktemp("other") / "run", values)


def readable(stage: Stage, folder: Path) -> bool:
    """Whether a reader takes what stands there; it must read all of it."""
    try:
        if stage is DOWNLOAD:
            with open_dataset(folder / stage.out) as dataset:
                return bool([dataset.read(member) for member in dataset.clips["member"]])
        shards = open_shards(folder / stage.out)
        return bool([shards.parts(waveform, fold)[0].sum() for waveform in WAVEFORMS for fold in shards.folds])
    except IntegrityError:
        return False


@pytest.mark.parametrize("stage", [DOWNLOAD, SPECTROGRAMS], ids=str)
def test_killed_over_another_build_it_leaves_the_old_the_new_or_what_is_refused(
    forks: Stages, clean: Path, other: Path, place: Path, stage: Stage
) -> None:
    """Never a mixture that a reader takes."""
    old, new = tree(other / stage.out), tree(clean / stage.out)
    assert old.keys() == new.keys()
    assert {name for name in old if old[name] != new[name]} >= old.keys() - {"clips.csv"}
    number, refused, taken = 0, 0, 0
    while True:
        reset(place, stage.out)
        shutil.copytree(other / stage.out, place / stage.out)
        ended = forks.run(place, *stage.command, kill_at=number)
        left = {name: data for name, data in tree(place / stage.out).items() if not name.endswith(".partial")}
        assert all(data in (old[name], new[name]) for name, data in left.items())
        if readable(stage, place):
            assert left in (old, new)
            taken += 1
        else:
            refused += 1
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL
        number += 1 if ended.points[-1].split()[0] not in ("append", "writestr") else 7
    assert left == new
    assert refused > 0
    assert taken > 0


@pytest.mark.case("F7")
@pytest.mark.parametrize("stage", [DOWNLOAD, SPECTROGRAMS], ids=str)
def test_a_full_disk_ends_it_in_one_line_without_a_trace(forks: Stages, clean: Path, place: Path, stage: Stage) -> None:
    """For each file in turn: a limit on size stops the first one that is larger."""
    expected = tree(clean / stage.out)
    for limit in sorted({len(data) for data in expected.values()}):
        reset(place, stage.out)
        ended: Ended = forks.run(place, *stage.command, limit_bytes=limit - 1)
        assert ended.code == 5, ended.stderr
        assert ended.stderr.startswith(f"{stage}: cannot write a file in {stage.out}/")
        assert "got File too large. Free space or fix the permissions" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
        assert wrong(place / stage.out, expected, stage.manifest) == []
        assert not [name for name in tree(place / stage.out) if name.endswith(".partial")]
    assert forks.run(place, *stage.command, limit_bytes=limit).code == 0
    assert tree(place / stage.out) == expected


def test_a_changed_protocol_leaves_no_mode_half_fitted(forks: Stages, place: Path) -> None:
    """A fold that the data set does not have is refused before the first file is written."""
    (place / "params.yaml").write_text(yaml.safe_dump(changed(dataset={"folds": 3}, protocol={"folds": [1, 2, 3]})))
    reset(place, NORMALIZERS.out)
    ended = forks.run(place, *NORMALIZERS.command)
    assert (ended.code, len(ended.stderr.splitlines())) == (2, 1)
    assert "no such fold in protocol.folds: expected some of [1, 2], the data set's folds, got [3]" in ended.stderr
    assert tree(place / "data/normalizers") == {}
