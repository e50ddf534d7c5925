"""xResNet-18 (He et al. 2019, arXiv:1812.01187, as fastai builds it) for one-channel spectrograms."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

_STEM_WIDTHS = (32, 32, 64)
_STAGE_WIDTHS = (64, 128, 256, 512)
_BLOCKS = 2  # a stage


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch normalisation and, unless ``activation`` is false, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, activation: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if activation:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut that pools before it projects (the "D" of ResNet-D)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ConvNorm(inputs, outputs, 3, stride=stride), ConvNorm(outputs, outputs, 3, activation=False)
        )
        shortcut: list[nn.Module] = []
        if stride != 1:
            shortcut.append(nn.AvgPool2d(stride, ceil_mode=True))
        if inputs != outputs:
            shortcut.append(ConvNorm(inputs, outputs, 1, activation=False))
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, inputs, height, width]`` -> ``[batch, outputs, ceil(height / stride), ceil(width / stride)]``."""
        out: Tensor = self.activation(self.residual(x) + self.shortcut(x))
        return out


def xresnet18(
    classes: int, *, generator: torch.Generator, stem_init: Literal["published", "he"] = "published"
) -> nn.Sequential:
    """Build the network: spectrograms ``[batch, 1, bins, frames]`` in, logits ``[batch, classes]`` out.

    Args:
        classes: number of outputs.
        generator: draws the initial weights; the same state gives the same network.
        stem_init: ``published`` draws the first convolution for three input channels and takes their mean, as the
            published experiment did (deviation ``sqrt(2 / 27 / 3)`` = 0.157); ``he`` draws it for one (0.471).

    >>> network = xresnet18(50, generator=torch.Generator().manual_seed(0))
    >>> sum(parameter.numel() for parameter in network.parameters())
    11220818
    """
    widths = (1, *_STEM_WIDTHS)
    layers: list[nn.Module] = [
        ConvNorm(widths[i], widths[i + 1], 3, stride=2 if i == 0 else 1) for i in range(len(_STEM_WIDTHS))
    ]
    layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    inputs = _STEM_WIDTHS[-1]
    for stage, outputs in enumerate(_STAGE_WIDTHS):
        for block in range(_BLOCKS):
            layers.append(ResidualBlock(inputs, outputs, stride=2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]
    network = nn.Sequential(*layers)
    _initialise(network, generator, stem_init)
    return network


def _initialise(network: nn.Sequential, generator: torch.Generator, stem_init: str) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=0.0, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, ResidualBlock):
            # Each block starts as its shortcut: the last normalisation of the residual path outputs zero.
            nn.init.zeros_(module.residual[1][1].weight)  # type: ignore[index]
    if stem_init == "published":
        stem = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        three = torch.empty(stem.out_channels, 3, *stem.kernel_size)
        three.normal_(0.0, math.sqrt(2 / three[0].numel()), generator=generator)
        with torch.no_grad():
            stem.weight.copy_(three.mean(dim=1, keepdim=True))
