"""The network is the published one: layers, parameters, initial weights."""

import math

import pytest
import torch
from torch import nn

from specnorm.training.xresnet import ResidualBlock, xresnet18


def build(classes: int = 50, seed: int = 0, **options: str) -> nn.Sequential:
    return xresnet18(classes, generator=torch.Generator().manual_seed(seed), **options)  # type: ignore[arg-type]


def test_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in build().parameters()) == 11_220_818


@pytest.mark.parametrize("shape", [(201, 401), (201, 101), (64, 63), (33, 32)])
def test_any_spectrogram_size_gives_one_row_of_logits_a_clip(shape: tuple[int, int]) -> None:
    assert build(7).eval()(torch.randn(2, 1, *shape)).shape == (2, 7)


def test_strides_halve_rounding_up() -> None:
    network = build()
    x = torch.randn(1, 1, 201, 401)
    sizes = []
    for layer in network:
        x = layer(x)
        if x.ndim == 4:
            sizes.append(tuple(x.shape[1:]))
    stem = [(32, 101, 201), (32, 101, 201), (64, 101, 201), (64, 51, 101)]
    stages = [(64, 51, 101)] * 2 + [(128, 26, 51)] * 2 + [(256, 13, 26)] * 2 + [(512, 7, 13)] * 2
    assert sizes == [*stem, *stages, (512, 1, 1)]


def test_every_block_starts_as_its_shortcut() -> None:
    network = build().eval()
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 8
    for block in blocks:
        x = torch.randn(1, next(block.parameters()).shape[1], 8, 8)
        assert torch.equal(block(x), torch.relu(block.shortcut(x)))
    zeroed = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and not m.weight.any()]
    assert len(zeroed) == 8


@pytest.mark.parametrize(("stem_init", "deviation"), [("published", math.sqrt(2 / 27 / 3)), ("he", math.sqrt(2 / 9))])
def test_deviation_of_the_first_convolution(stem_init: str, deviation: float) -> None:
    draws = torch.cat([build(2, seed, stem_init=stem_init)[0][0].weight.flatten() for seed in range(20)])
    # 5760 normal draws: the relative standard error of their deviation is 1 / sqrt(2 n) = 0.9 %; four of them.
    assert draws.std().item() == pytest.approx(deviation, rel=0.037)


def test_convolutions_and_classifier_are_he_normal_and_biases_zero() -> None:
    network = build()
    for module in list(network.modules())[2:]:
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.shape[1] > 1:
            fan_in = module.weight[0].numel()
            # Four standard errors of a deviation from n draws.
            tolerance = 4 / math.sqrt(2 * module.weight.numel())
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=tolerance)
        if getattr(module, "bias", None) is not None:
            assert not module.bias.any()


def test_the_generator_alone_decides_the_weights() -> None:
    torch.manual_seed(1)
    first = build(seed=3).state_dict()
    torch.manual_seed(2)
    second = build(seed=3).state_dict()
    other = build(seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["0.0.weight"], other["0.0.weight"])
