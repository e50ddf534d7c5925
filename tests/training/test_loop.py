"""One cell's training: reproducible, able to learn, unable to learn from noise."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from specnorm.errors import ConfigurationError
from specnorm.training import loop, recipe, seeds
from specnorm.training.batches import Clips
from specnorm.training.device import choose
from tests.training import small


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specnorm.training.model.xresnet18", small.small_network)


class Shift(nn.Module):
    """A normaliser that is trained with the network."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(small.BINS, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.shift


@pytest.mark.case("T7")
def test_the_published_network_twice_and_with_another_seed() -> None:
    first = small.run(epochs=1)
    torch.manual_seed(7)  # the global generator has no say
    assert small.equal(first, small.run(epochs=1))
    other = small.run(small.make_cell(seed=1), epochs=1)
    assert not torch.equal(first.probabilities, other.probabilities)


@pytest.mark.case("T9")
def test_the_published_network_overfits_a_handful_of_clips() -> None:
    clips = small.make_clips(8, 4)
    spectrograms = torch.randn(8, 1, 33, 32, generator=torch.Generator().manual_seed(0))
    noise = Clips((spectrograms.numpy(),), clips.targets, clips.names)
    cell = small.make_cell(classes=4, train=noise, held_out=noise)
    result = small.run(cell, epochs=15, batch_size=8, learning_rate=1e-3)
    assert result.history[-1]["valid_accuracy"] == 1.0
    assert result.history[-1]["train_loss"] < 0.1 < result.history[0]["train_loss"]


@pytest.mark.usefixtures("small_network")
class TestSmall:
    @pytest.mark.case("T7")
    def test_fold_and_seed_decide_and_nothing_else(self) -> None:
        first = small.run()
        assert small.equal(first, small.run())
        for other in (small.make_cell(seed=1), small.make_cell(fold=2)):
            assert not torch.equal(first.probabilities, small.run(other).probabilities)

    @pytest.mark.case("T7")
    def test_a_cell_does_not_depend_on_the_cells_before_it(self) -> None:
        alone = small.run(small.make_cell(fold=3))
        small.run(small.make_cell(fold=1))
        assert small.equal(alone, small.run(small.make_cell(fold=3)))

    def test_every_mode_starts_from_the_same_network_and_trains_its_own(self) -> None:
        plain = loop.build_model(small.make_cell(), small.MODEL)
        shifted = loop.build_model(small.make_cell(normalizer=Shift), small.MODEL)
        for (name, one), (_, other) in zip(
            plain.network.state_dict().items(), shifted.network.state_dict().items(), strict=True
        ):
            assert torch.equal(one, other), name

    def test_a_trainable_normaliser_is_trained_and_fresh_for_every_cell(self) -> None:
        cell = small.make_cell(normalizer=Shift)
        first = small.run(cell, epochs=1)
        assert first.model.normalizer.shift.abs().min() > 0
        assert small.equal(first, small.run(cell, epochs=1))

    def test_classes_that_differ_are_told_apart_on_held_out_clips(self) -> None:
        cell = small.make_cell(train=small.make_clips(60), held_out=small.make_clips(30, seed=1))
        assert small.run(cell, epochs=8).history[-1]["valid_accuracy"] == 1.0  # 20 dB apart, 5 dB of noise

    @pytest.mark.case("T9")
    def test_labels_without_meaning_leave_chance_on_held_out_clips(self) -> None:
        """A leak of held-out clips or labels into training would show here, as the second half proves."""
        train, held_out = _meaningless(60, seed=0), _meaningless(240, seed=1)
        accuracy = small.run(small.make_cell(train=train, held_out=held_out), epochs=30).history[-1]["valid_accuracy"]
        assert abs(accuracy - 1 / 3) < 0.13  # four standard errors of a share of 1/3 among 240: 0.122
        leaked = small.run(small.make_cell(train=train, held_out=train), epochs=30).history[-1]["valid_accuracy"]
        assert leaked > 0.6

    def test_held_out_clips_shape_nothing_but_their_own_predictions(self) -> None:
        first = small.run(small.make_cell())
        other = small.run(small.make_cell(held_out=small.make_clips(9, seed=5)))
        assert all(
            torch.equal(a, b)
            for a, b in zip(first.model.state_dict().values(), other.model.state_dict().values(), strict=True)
        )
        assert [row["train_loss"] for row in first.history] == [row["train_loss"] for row in other.history]

    def test_the_last_epoch_counts_even_when_an_earlier_one_was_better(self) -> None:
        """Held-out labels chosen so that the first epoch is right everywhere and the last one is not."""
        cell = small.make_cell(held_out=small.make_clips(12, seed=1))
        epochs = 4
        after_one = _probabilities_by_epoch(cell, epochs)
        best = after_one[0].argmax(1)
        assert not torch.equal(best, after_one[-1].argmax(1))  # or this test would show nothing
        held_out = dataclasses.replace(cell.held_out, targets=best)
        result = small.run(dataclasses.replace(cell, held_out=held_out), epochs=epochs)
        assert result.history[0]["valid_accuracy"] == 1.0
        assert result.history[-1]["valid_accuracy"] < 1.0
        assert torch.equal(result.probabilities, after_one[-1])
        assert loop.score(result.probabilities, best)["valid_accuracy"] == result.history[-1]["valid_accuracy"]

    def test_history_has_a_row_an_epoch_and_each_row_is_reported(self) -> None:
        seen: list[loop.EpochRow] = []
        result = small.run(epochs=3, report=seen.append)
        assert seen == result.history
        assert [row["epoch"] for row in seen] == [1, 2, 3]
        names = {"epoch", "learning_rate", "train_loss", "valid_loss", "valid_accuracy"}
        assert all(set(row) == names for row in seen)
        assert len(result.epoch_seconds) == 3
        rates = [row["learning_rate"] for row in seen]
        assert rates[0] == max(rates) > rates[-1] > 0  # 9 steps: the peak is the third, the first epoch's last

    def test_predictions_are_probabilities_of_the_returned_model_in_evaluation_mode(self) -> None:
        cell = small.make_cell()
        result = small.run(cell)
        assert result.probabilities.shape == (5, 3)
        assert result.probabilities.dtype == torch.float32
        logits = result.model.eval()(torch.from_numpy(cell.held_out.parts[0]))
        # One batch instead of two: float32 sums in another order.
        torch.testing.assert_close(result.probabilities, logits.softmax(1).detach(), rtol=1e-5, atol=1e-6)

    @pytest.mark.case("T8")
    @pytest.mark.parametrize("count", [1, 5, 9])
    def test_a_last_held_out_batch_of_one_clip(self, count: int) -> None:
        """Batch normalisation refuses one value a channel in training mode: evaluation must not be in it."""
        cell = small.make_cell(held_out=small.make_clips(count, seed=1))
        assert small.run(cell, epochs=1).probabilities.shape == (count, 3)

    @pytest.mark.case("T8")
    def test_a_class_without_a_training_clip_is_never_right_and_never_fatal(self) -> None:
        train = small.make_clips(12, 2)
        cell = small.make_cell(classes=3, train=train, held_out=small.make_clips(6, 3, seed=1))
        assert torch.isfinite(small.run(cell).probabilities).all()

    @pytest.mark.case("P3")
    @pytest.mark.parametrize("batch_size", [15, 64])
    def test_a_batch_larger_than_the_training_set_is_refused(self, batch_size: int) -> None:
        with pytest.raises(ConfigurationError, match=r"train\.batch_size: expected at most 14 clips, got ") as caught:
            small.run(batch_size=batch_size)
        assert str(batch_size) in str(caught.value)
        assert caught.value.exit_code == 2

    def test_a_batch_as_large_as_the_training_set_works(self) -> None:
        assert len(small.run(batch_size=14).history) == 3

    def test_every_epoch_has_its_own_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []
        order = seeds.clip_order

        def spy(clips: int, *, seed: int, fold: int, epoch: int) -> torch.Tensor:
            asked.append((clips, seed, fold, epoch))
            return order(clips, seed=seed, fold=fold, epoch=epoch)

        monkeypatch.setattr(seeds, "clip_order", spy)
        small.run(small.make_cell(seed=5, fold=2))
        assert asked == [(14, 5, 2, 0), (14, 5, 2, 1), (14, 5, 2, 2)]

    @pytest.mark.parametrize("precision", ["bf16", "fp32"])
    def test_the_last_epochs_accuracy_is_the_cells(self, precision: str) -> None:
        """A regression: the line of the last epoch was computed in bf16, the table's figure in float32."""
        result = small.run(choice=choose("cpu", precision), epochs=4)
        last = result.history[-1]
        assert loop.score(result.probabilities, small.make_cell().held_out.targets).items() <= last.items()

    def test_the_normaliser_sees_float32_whatever_the_precision(self) -> None:
        """A regression: under autocast a sliding mean, which is a convolution, was off by tenths of a decibel."""
        seen: list[torch.Tensor] = []

        class SlidingMean(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                kernel = torch.full((1, 1, 1, 9), 1 / 9)
                seen.append(x - F.conv2d(x, kernel, padding=(0, 4)))
                return seen[-1]

        small.run(small.make_cell(normalizer=SlidingMean), choice=choose("cpu", "bf16"), epochs=2)
        in_training, exact = seen[:-1], seen[-1]  # the last are the held-out clips in float32, which were there before
        assert all(each.dtype == torch.float32 for each in seen)
        before = next(each for each in in_training if each.shape == exact.shape and (each - exact).abs().max() < 5)
        assert torch.equal(before, exact)

    def test_bf16_on_the_cpu_runs_learns_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        chosen = choose("cpu", "bf16")
        assert "bf16 as asked" in chosen.reason
        with caplog.at_level(logging.WARNING):
            cell = small.make_cell(train=small.make_clips(60), held_out=small.make_clips(30, seed=1))
            result = small.run(cell, choice=chosen, epochs=8)
        assert result.history[-1]["valid_accuracy"] == 1.0
        assert all(value.dtype != torch.bfloat16 for value in result.model.state_dict().values())
        assert result.probabilities.dtype == torch.float32
        # Rounding to 8 bits of mantissa must be visible, or bf16 was never in use.
        assert not torch.equal(result.probabilities, small.run(cell, epochs=8).probabilities)

    def test_probabilities_after_bf16_training_are_those_of_the_weights_in_float32(self) -> None:
        """So that the stored weights give them again on a machine without bf16."""
        cell = small.make_cell()
        result = small.run(cell, choice=choose("cpu", "bf16"))
        spectrograms = torch.from_numpy(np.concatenate([np.asarray(part) for part in cell.held_out.parts]))
        with torch.no_grad():
            exact = result.model.eval()(spectrograms).softmax(1)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                rounded = result.model(spectrograms).float().softmax(1)
        # Batches of another size: the order of float32 sums.
        torch.testing.assert_close(result.probabilities, exact, rtol=0, atol=1e-5)
        assert (rounded - exact).abs().max() > 1e-4  # or this test would show nothing


def test_score_by_hand() -> None:
    probabilities = torch.tensor([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]])
    found = loop.score(probabilities, torch.tensor([0, 0, 0]))
    assert found["valid_accuracy"] == pytest.approx(2 / 3)  # a tie goes to the first class
    assert found["valid_loss"] == pytest.approx((0.6931472 + 1.3862944 + 0) / 3, rel=1e-6)  # ln 2, ln 4: 7 digits
    impossible = loop.score(torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
    assert impossible["valid_loss"] == pytest.approx(87.336544, rel=1e-6)  # -ln of float32's smallest normal number


def _meaningless(count: int, *, seed: int) -> Clips:
    generator = torch.Generator().manual_seed(seed)
    clips = small.make_clips(count)
    noise = -40 + 5 * torch.randn(clips.parts[0].shape, generator=generator)
    return Clips((noise.numpy(),), clips.targets, clips.names)


def _probabilities_by_epoch(cell: loop.Cell, epochs: int) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    predict = loop.predict

    def spy(*arguments: object) -> torch.Tensor:
        found.append(predict(*arguments))  # type: ignore[arg-type]
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "predict", spy)
        small.run(cell, epochs=epochs)
    return found


def test_every_step_uses_the_published_schedule_and_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe is proved against fastai's; here, that the loop uses it, before each step of all epochs."""
    seen: list[tuple[float, float, list[float]]] = []
    step = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: object) -> object:
        rates = {(group["lr"], group["betas"]) for group in self.param_groups}
        ((rate, (momentum, _)),) = rates
        seen.append((rate, momentum, [group["weight_decay"] for group in self.param_groups]))
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    small.run(epochs=3, learning_rate=0.02, weight_decay=0.03)
    steps = 3 * (14 // 4)  # 14 clips in batches of 4: the last two are left out
    expected = [recipe.one_cycle(number, steps, 0.02) for number in range(steps)]
    assert seen == [(each.learning_rate, each.momentum, [0.03, 0.0]) for each in expected]
