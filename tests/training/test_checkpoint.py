"""A cell that was interrupted goes on as if it had not been."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn, optim

from specnorm.errors import ResourceError
from specnorm.training import loop
from specnorm.training.checkpoint import Checkpoint
from tests.training import small


class Interrupted(Exception):
    """Stands for a Ctrl-C."""


def stop_after(epoch: int):
    def report(row: loop.EpochRow) -> None:
        if row["epoch"] == epoch:
            raise Interrupted

    return report


def interrupted(checkpoint: Checkpoint, epoch: int, **changes: object) -> None:
    """Train up to and including ``epoch``, then break off."""
    with pytest.raises(Interrupted):
        small.run(checkpoint=checkpoint, report=stop_after(epoch), **changes)


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specnorm.training.model.xresnet18", small.small_network)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "deep/er/none-1-0.safetensors", "this cell")


def test_the_published_network_resumes_bit_for_bit(checkpoint: Checkpoint) -> None:
    """Its weights lie in memory channels last, the stored ones do not: the same numbers must come of it."""
    whole = small.run(epochs=2)
    interrupted(checkpoint, 1, epochs=2)
    assert small.equal(small.run(checkpoint=checkpoint, epochs=2), whole)


@pytest.mark.usefixtures("small_network")
class TestSmall:
    @pytest.mark.case("T1")
    @pytest.mark.parametrize("epoch", [1, 2, 3, 4])
    def test_resumed_after_any_epoch(self, checkpoint: Checkpoint, epoch: int) -> None:
        whole = small.run(epochs=4)
        interrupted(checkpoint, epoch, epochs=4)
        resumed = small.run(checkpoint=checkpoint, epochs=4)
        assert small.equal(resumed, whole)
        assert len(resumed.epoch_seconds) == 4 - epoch  # it did go on, and did not start over

    def test_resumed_again_and_again(self, checkpoint: Checkpoint) -> None:
        for epoch in (1, 2, 3):
            interrupted(checkpoint, epoch, epochs=4)
        assert small.equal(small.run(checkpoint=checkpoint, epochs=4), small.run(epochs=4))

    def test_a_break_within_an_epoch_goes_back_to_the_last_whole_one(
        self, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = 0
        step = optim.AdamW.step

        def breaking(self: optim.AdamW, *arguments: object) -> object:
            nonlocal calls
            calls += 1
            if calls == 5:  # 3 steps an epoch: the second step of the second epoch
                raise Interrupted
            return step(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(optim.AdamW, "step", breaking)
            with pytest.raises(Interrupted):
                small.run(checkpoint=checkpoint)
        resumed = small.run(checkpoint=checkpoint)
        assert len(resumed.epoch_seconds) == 2
        assert small.equal(resumed, small.run())

    def test_an_optimiser_that_starts_over_would_be_seen(
        self, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The power of the tests above: with the weights alone restored the result is another."""
        interrupted(checkpoint, 1)
        monkeypatch.setattr(optim.AdamW, "load_state_dict", lambda *_: None)
        assert not small.equal(small.run(checkpoint=checkpoint), small.run())

    def test_the_file_goes_when_the_cell_is_done_and_going_twice_is_no_error(self, checkpoint: Checkpoint) -> None:
        small.run(checkpoint=checkpoint)
        assert checkpoint.path.exists()
        checkpoint.remove()
        checkpoint.remove()
        assert list(checkpoint.path.parent.iterdir()) == []

    def test_the_stored_state_is_the_models_and_the_optimisers(self, checkpoint: Checkpoint) -> None:
        model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        optimizer = optim.AdamW(model.parameters(), lr=0.1)
        model(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        checkpoint.save(model, optimizer, [{"epoch": 1, "train_loss": 0.1 + 0.2}])
        other = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        restored = optim.AdamW(other.parameters(), lr=0.1)
        assert checkpoint.restore(other, restored) == [{"epoch": 1, "train_loss": 0.1 + 0.2}]  # every digit
        for name, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
        for index, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                assert torch.equal(value, restored.state_dict()["state"][index][name]), (index, name)

    def test_nothing_stored_is_no_warning(self, checkpoint: Checkpoint) -> None:
        model = nn.Linear(2, 2)
        assert checkpoint.restore(model, optim.AdamW(model.parameters())) == []

    @pytest.mark.case("T11")
    def test_a_failing_save_keeps_the_state_before_it(
        self, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interrupted(checkpoint, 1)
        before = checkpoint.path.read_bytes()

        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)  # where a full disk may only be noticed
            with pytest.raises(ResourceError, match="No space left on device"):
                small.run(checkpoint=checkpoint)
        assert checkpoint.path.read_bytes() == before
        assert [path.name for path in checkpoint.path.parent.iterdir()] == [checkpoint.path.name]
        assert small.equal(small.run(checkpoint=checkpoint), small.run())

    def test_the_cell_and_the_history_stand_in_the_header(self, checkpoint: Checkpoint) -> None:
        interrupted(checkpoint, 2)
        with safe_open(checkpoint.path, framework="pt") as stored:
            header = stored.metadata()
        assert [row["epoch"] for row in json.loads(header["history"])] == [1, 2]
        assert header["cell"] == "this cell"


def test_a_done_cell_clears_what_is_older_than_its_run_and_nothing_younger(tmp_path: Path) -> None:
    """Another experiment may train the same cell at this moment, and keep its state beside it."""
    stored = Checkpoint(tmp_path / "mine.safetensors", "cell", began=1000.0)
    for name, modified in (("mine.safetensors", 2000), ("older.safetensors", 999), (".older.17.partial", 998)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (modified, modified))
    (tmp_path / "younger.safetensors").write_bytes(b"")
    stored.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["younger.safetensors"]


def test_short_epochs_do_not_write_each_time(tmp_path: Path) -> None:
    hour = Checkpoint(tmp_path / "hour.safetensors", "a", every_s=3600.0)
    always = Checkpoint(tmp_path / "always.safetensors", "a")
    for checkpoint in (hour, always):
        small.run(checkpoint=checkpoint, epochs=2)
    assert not hour.path.exists()
    assert always.path.exists()
