from __future__ import annotations

import copy
import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from specnorm.comparison import noop
from specnorm.training.xresnet import xresnet18

# A level as raw spectrograms have it: far below zero, tens of decibels wide.
MEAN_DB, DEVIATION_DB = -36.0, 31.0

# Outputs of deviation 1 are computed from sums of float32 whose terms are of the order of |mean| / deviation, some ten
# times the result: a hundred roundings of 6e-8.
ROUNDING = 1e-5


def stem(
    *, kernel: int = 3, stride: int = 2, padding: int | str = 1, bias: bool = False, eps: float = 1e-5, **other: int
) -> nn.Sequential:
    """A convolution with weights of deviation 1, so that eps is nothing beside what it is added to, and BatchNorm."""
    generator = torch.Generator().manual_seed(0)
    convolution = nn.Conv2d(1, 8, kernel, stride=stride, padding=padding, bias=bias, **other)
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.normal_(generator=generator)
    return nn.Sequential(convolution, nn.BatchNorm2d(8, eps=eps), nn.ReLU())


def clips(batch: int = 4, bins: int = 21, frames: int = 17) -> Tensor:
    """Noise in dB, [batch, 1, bins, frames]."""
    return MEAN_DB + DEVIATION_DB * torch.randn(batch, 1, bins, frames, generator=torch.Generator().manual_seed(1))


def normalised(batch: Tensor) -> Tensor:
    return (batch - MEAN_DB) / DEVIATION_DB


def per_bin(batch: Tensor) -> Tensor:
    """Every frequency bin by a scale of its own."""
    return batch * torch.linspace(0.5, 2.0, batch.shape[-2])[:, None]


def values(found: noop.Survival) -> list[float]:
    return [part for pair in (found.effect, found.padded, found.padding) for part in (pair.inside, pair.border)]


# --- what cancels, and what does not


@pytest.mark.parametrize("bias", [False, True])
def test_without_padding_a_shift_and_a_scale_of_the_whole_input_are_nothing(bias: bool) -> None:
    found = noop.survival(stem(padding=0, bias=bias), clips(), normalised(clips()))
    assert found.effect.inside < ROUNDING
    assert found.padded.inside < ROUNDING
    assert found.padding.inside < ROUNDING


@pytest.mark.parametrize("bias", [False, True])
def test_with_padding_all_that_is_left_is_the_padding(bias: bool) -> None:
    found = noop.survival(stem(bias=bias), clips(), normalised(clips()))
    assert found.effect.border > 0.3
    assert found.effect.border > found.effect.inside > 1e-3  # the border's outputs are part of BatchNorm's moments
    assert found.padded.inside < ROUNDING
    assert found.padded.border < ROUNDING
    # The noise's own mean is not quite what it was drawn with, and so not quite the normalised input's zero: it is off
    # by one over the root of the number of cells.
    assert found.effect.border == pytest.approx(found.padding.border, rel=5 / math.sqrt(clips().numel()))
    assert found.effect.inside == pytest.approx(found.padding.inside, rel=5 / math.sqrt(clips().numel()))


def test_a_scale_alone_leaves_the_padding_as_it_is() -> None:
    found = noop.survival(stem(), clips(), clips() / DEVIATION_DB)  # zeros stay zeros
    assert max(values(found)[:4]) < ROUNDING
    assert found.padding.border > 0.3


def test_a_scale_a_bin_survives_whatever_the_padding() -> None:
    found = noop.survival(stem(), normalised(clips()), per_bin(normalised(clips())))
    assert min(values(found)[:4]) > 0.1
    unpadded = noop.survival(stem(padding=0), normalised(clips()), per_bin(normalised(clips())))
    assert unpadded.effect.inside > 0.1


def test_unrelated_inputs_differ_by_the_root_of_two() -> None:
    found = noop.survival(stem(padding=0, stride=1), clips(64), clips(128)[64:])
    # 64 clips of 285 outputs, which the kernel makes dependent nine at a time: some 2000 independent values.
    assert found.effect.inside == pytest.approx(math.sqrt(2), rel=3 / math.sqrt(2000))


def test_the_scale_that_eps_lets_through_is_what_the_formula_says() -> None:
    network, batch = stem(padding=0, eps=0.1), clips()
    treated = normalised(batch) / 10
    out = functional.conv2d(batch, network[0].weight.detach(), stride=2).double()
    variance = out.var((0, 2, 3), correction=0)
    smaller = variance / (10 * DEVIATION_DB) ** 2
    deviations = (variance / (variance + 0.1)).sqrt(), (smaller / (smaller + 0.1)).sqrt()  # of the two outputs
    expected = float((deviations[0] - deviations[1]).square().mean().sqrt())
    assert expected > 0.1
    assert noop.survival(network, batch, treated).effect.inside == pytest.approx(expected, abs=ROUNDING)


def test_equal_inputs_do_not_differ() -> None:
    assert values(noop.survival(stem(), clips(), clips()))[:4] == [0, 0, 0, 0]


@pytest.mark.parametrize("what", ["padded", "padding"])
def test_padding_with_the_mean_is_what_padding_by_hand_gives(what: str) -> None:
    network, reference, treated = stem(kernel=5, padding=2), clips(), per_bin(clips())

    def output(batch: Tensor, value: float) -> Tensor:
        with torch.no_grad():
            around = functional.pad(batch, (2, 2, 2, 2), value=value)
            return nn.BatchNorm2d(8)(functional.conv2d(around, network[0].weight, stride=2))

    own = output(reference, float(reference.mean()))
    other = output(treated, float(treated.mean())) if what == "padded" else output(reference, 0.0)
    square = (own - other).square().mean((0, 1))
    edge = noop.border(network[0], *reference.shape[-2:])
    found = getattr(noop.survival(network, reference, treated), what)
    assert found.inside == pytest.approx(float(square[~edge].mean().sqrt()), abs=ROUNDING)
    assert found.border == pytest.approx(float(square[edge].mean().sqrt()), abs=ROUNDING)


def test_the_units_are_those_of_the_affine_weight() -> None:
    network = stem()
    before = values(noop.survival(network, clips(), per_bin(clips())))
    with torch.no_grad():
        network[1].weight.fill_(3.0)
        network[1].bias.fill_(7.0)  # cancels in a difference
    assert values(noop.survival(network, clips(), per_bin(clips()))) == pytest.approx(
        [3 * v for v in before], abs=ROUNDING
    )


def test_batch_normalisation_without_weights_counts_as_weights_of_one() -> None:
    network = stem()
    plain = nn.Sequential(network[0], nn.BatchNorm2d(8, affine=False, track_running_stats=False))
    assert noop.survival(plain, clips(), per_bin(clips())) == noop.survival(network, clips(), per_bin(clips()))


def test_the_project_s_network_takes_global_normalisation_for_nothing_but_padding() -> None:
    network = xresnet18(10, generator=torch.Generator().manual_seed(0))
    found = noop.survival(network, clips(8, 41, 33), normalised(clips(8, 41, 33)))
    # Its first weights have a deviation of 0.157: eps is some 1e-4 of a channel's variance, or less.
    assert max(found.padded.inside, found.padded.border) < 1e-3
    assert found.effect.border > 0.3
    assert found.border_share == pytest.approx(1 - (19 * 15) / (21 * 17))


# --- the network stays as it is


@pytest.mark.parametrize("training", [True, False])
def test_the_network_and_the_batches_stay_as_they_are(training: bool) -> None:
    network = xresnet18(3, generator=torch.Generator().manual_seed(0)).train(training)
    state, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    reference, treated = clips(), normalised(clips())
    found = noop.survival(network, reference, treated)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(module.training is training for module in network.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(reference, clips())
    assert torch.equal(treated, normalised(clips()))
    assert torch.equal(torch.get_rng_state(), random)
    # The batch's own statistics count in both ways of running.
    assert found == noop.survival(network.train(not training), reference, treated)


def test_gradients_are_neither_needed_nor_switched_off_for_others() -> None:
    found = noop.survival(stem(), clips(), clips().requires_grad_())
    assert isinstance(found.effect.border, float)
    assert torch.is_grad_enabled()


# --- the border


@pytest.mark.parametrize(("kernel", "stride", "padding"), list(product([3, 5, 7], [1, 2], [0, 1, 2])))
@pytest.mark.parametrize(("bins", "frames"), [(14, 13), (13, 14), (15, 15)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_the_border_is_where_the_padding_s_value_matters(
    kernel: int, stride: int, padding: int, bins: int, frames: int, dilation: int
) -> None:
    convolution = nn.Conv2d(1, 4, kernel, stride=stride, padding=padding, dilation=dilation)
    found = noop.border(convolution, bins, frames)
    nothing = torch.zeros(1, 1, bins, frames)
    outside = functional.pad(nothing, (padding,) * 4, value=1.0)
    weight = torch.ones(1, 1, kernel, kernel)
    moved = functional.conv2d(outside, weight, stride=stride, dilation=dilation)[0, 0]
    assert torch.equal(found, moved > 0)
    assert found.shape == convolution(nothing).shape[-2:]


def test_the_border_of_uneven_settings() -> None:
    uneven = nn.Conv2d(1, 4, (3, 5), stride=(2, 1), padding=(1, 0))
    assert noop.border(uneven, 6, 6).tolist() == [[True, True], [False, False], [False, False]]
    same = nn.Conv2d(1, 4, (1, 3), padding="same")
    assert noop.border(same, 1, 3).tolist() == [[True, False, True]]


def test_the_share_of_the_border_and_a_kind_of_position_that_there_is_not() -> None:
    found = noop.survival(stem(padding=0), clips(), normalised(clips()))
    assert found.border_share == 0
    assert math.isnan(found.effect.border)
    found = noop.survival(stem(padding=1, stride=1), clips(bins=2, frames=9), per_bin(clips(bins=2, frames=9)))
    assert found.border_share == 1
    assert math.isnan(found.effect.inside)
    assert found.effect.border > 0
    found = noop.survival(stem(), clips(), normalised(clips()))
    assert found.border_share == pytest.approx(1 - (9 * 7) / (11 * 9))


# --- small, constant and wrong input


def test_one_clip() -> None:
    found = noop.survival(stem(), clips(1), normalised(clips(1)))
    assert max(found.padded.inside, found.padded.border) < ROUNDING
    assert found.effect.border > 0.3


@pytest.mark.parametrize("level", [0.0, -100.0, 1e-3])
@pytest.mark.parametrize("padding", [0, 1])
def test_a_constant_input_has_finite_numbers(level: float, padding: int) -> None:
    silence = torch.full((2, 1, 9, 9), level)
    found = noop.survival(stem(padding=padding), silence, silence + 36)
    numbers = values(found) if padding else values(found)[::2]
    assert all(math.isfinite(number) for number in numbers)
    assert found.padded.inside == 0  # nothing is left of a constant less its mean


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), r"Conv2d\(1, 4, .*then ReLU\(\)"),
        (nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3)), r"BatchNorm2d\(1, .*then Conv2d\(1, 4"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), r"Conv2d\(3, 4"),
        (nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4)), r"Conv1d\(1, 4"),
        (nn.Conv2d(1, 4, 3), r"got Conv2d\(1, 4[^,]*, kernel_size=\(3, 3\), stride=\(1, 1\)\)$"),
        (nn.Identity(), r"got Identity\(\)$"),
    ],
)
def test_a_network_that_starts_otherwise_is_refused(network: nn.Module, found: str) -> None:
    with pytest.raises(
        ValueError, match=rf"starts with Conv2d of one channel, then BatchNorm2d, was expected, .*{found}"
    ):
        noop.survival(network, clips(), clips())


@pytest.mark.parametrize(
    ("reference", "treated"),
    [((4, 1, 9, 9), (4, 1, 9, 8)), ((1, 9, 9), (1, 9, 9)), ((4, 2, 9, 9), (4, 2, 9, 9)), ((0, 1, 9, 9), (0, 1, 9, 9))],
)
def test_batches_of_wrong_shapes_are_refused(reference: tuple[int, ...], treated: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"two batches of shape \[batch, 1, bins, frames\] were expected, got "
    ) as caught:
        noop.survival(stem(), torch.zeros(reference), torch.zeros(treated))
    assert str(caught.value).endswith(f"{reference} and {treated}")


# --- all modes at once


def test_the_table_has_a_row_a_mode_with_its_numbers() -> None:
    network = stem()
    batches = {"global_raw": (clips(), normalised(clips())), "channel_raw": (clips(), per_bin(clips()))}
    table = noop.table(network, batches)
    assert table.index.name == "norm"
    assert list(table.index) == ["global_raw", "channel_raw"]
    for mode, batch in batches.items():
        found = noop.survival(network, *batch)
        assert table.loc[mode].tolist() == [*values(found), found.border_share]
    assert table.loc["channel_raw", "padded_border"] == noop.survival(network, *batches["channel_raw"]).padded.border
    assert list(table) == [
        "effect_inside",
        "effect_border",
        "padded_inside",
        "padded_border",
        "padding_inside",
        "padding_border",
        "border_share",
    ]
