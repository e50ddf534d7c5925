"""Every target of the fuzz run, for a moment; and the run finds what is there to be found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from specnorm.errors import DataError
from tests.fuzz import __main__ as command
from tests.fuzz import sounds
from tests.fuzz.harness import attack, try_one
from tests.fuzz.spoil import Draw
from tests.fuzz.targets import TARGETS, Target

MADE_WHOLE = {"class folders", "zip", *sounds.NAMES}  # when they are spoiled


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_bears_some_inputs(name: str, tmp_path: Path) -> None:
    counts = attack(TARGETS[name], seed=0, examples=20, keep=tmp_path / "kept")
    assert 15 <= counts.total() <= 20  # an input may be one that cannot be made
    assert counts["refused"] or counts["read"]


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in MADE_WHOLE])
def test_a_targets_own_files_are_read(name: str, tmp_path: Path) -> None:
    """Or every refusal would be one of the sound file."""
    TARGETS[name].write(tmp_path)
    assert try_one(TARGETS[name], tmp_path) == "read"


def target_of(read: Callable[[int], object]) -> Target:
    """A target whose input is a number in a file."""

    def spoil(draw: Draw, folder: Path) -> None:
        (folder / "number").write_text(str(draw(st.integers(0, 1000))))

    return Target(lambda _: None, spoil, lambda folder: read(int((folder / "number").read_text())))


def test_a_failure_is_kept_and_is_the_smallest(tmp_path: Path) -> None:
    def read(number: int) -> None:
        if number > 100:
            raise KeyError(number)
        raise DataError("small")

    with pytest.raises(KeyError, match="101"):
        attack(target_of(read), seed=0, examples=100, keep=tmp_path / "kept")
    assert (tmp_path / "kept/number").read_text() == "101"


def test_the_same_seed_gives_the_same_inputs(tmp_path: Path) -> None:
    def inputs(seed: int) -> list[int]:
        seen: list[int] = []
        attack(target_of(seen.append), seed=seed, examples=30, keep=tmp_path / "kept")
        return seen

    assert inputs(1) == inputs(1) != inputs(2)


def test_an_input_that_never_ends_is_a_failure(tmp_path: Path) -> None:
    def read(_: int) -> None:
        while True:
            pass

    with pytest.raises(AssertionError, match="does not end within"):
        attack(target_of(read), seed=0, examples=1, keep=tmp_path / "kept", hang_s=0.05)


def test_the_command_tells_what_failed_and_replays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(number: int) -> None:
        if number > 100:
            raise KeyError(number)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_bound_memory", lambda: None)
    monkeypatch.setattr(command, "HANG_S", None)
    monkeypatch.setattr(command, "TARGETS", {"some numbers": target_of(read)})
    assert command.main(["--seconds", "20", "--seed", "3"]) == 1
    told = capsys.readouterr().out
    assert "FAILED some numbers, --seed 3, turn " in told
    assert "1 of 1 targets failed" in told
    kept = next((tmp_path / ".cache/fuzz/some-numbers").iterdir())
    with pytest.raises(KeyError, match="101"):
        command.main(["--replay", str(kept)])
