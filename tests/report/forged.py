"""A made-up comparison of fifty classes and sixteen modes, whole, for pictures that must bear so many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from specnorm.comparison.checked import CellTables
from specnorm.comparison.decision import Decision
from specnorm.comparison.inputs import Inputs, TrainedMode
from specnorm.comparison.verdict import Verdict
from specnorm.params import WAVEFORMS, MelParams, Waveform
from specnorm.report import gallery
from specnorm.report.example import Example
from specnorm.report.picture import Picture
from tests.report import twenty
from tests.report.test_sound import MEL, training

FAMILIES = dict(list(twenty.FAMILIES.items())[:16])
LABELS = [
    "airplane",
    "breathing",
    "brushing_teeth",
    "can_opening",
    "car_horn",
    "cat",
    "chainsaw",
    "chirping_birds",
    "church_bells",
    "clapping",
    "clock_alarm",
    "clock_tick",
    "coughing",
    "cow",
    "crackling_fire",
    "crickets",
    "crow",
    "crying_baby",
    "dog",
    "door_wood_creaks",
    "door_wood_knock",
    "drinking_sipping",
    "engine",
    "fireworks",
    "footsteps",
    "frog",
    "glass_breaking",
    "hand_saw",
    "helicopter",
    "hen",
    "insects",
    "keyboard_typing",
    "laughing",
    "mouse_click",
    "pig",
    "pouring_water",
    "rain",
    "rooster",
    "sea_waves",
    "sheep",
    "siren",
    "sneezing",
    "snoring",
    "thunderstorm",
    "toilet_flush",
    "train",
    "vacuum_cleaner",
    "washing_machine",
    "water_drops",
    "wind",
]


class Moved(nn.Module):
    """A mode that shifts and scales."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor) -> Tensor:
        return (x + 40) / (8 + self.place)


def confusion(families: dict[str, str] = FAMILIES, labels: list[str] = LABELS) -> pd.DataFrame:
    """Forty clips a class, most of them right, the others among a few classes that sound alike."""
    generator = np.random.default_rng(0)
    rows = []
    for place, norm in enumerate(families):
        for actual, label in enumerate(labels):
            chances = np.full(len(labels), 0.3 / len(labels))
            chances[[(actual + step) % len(labels) for step in (7, 11, 23)]] += 0.12
            chances[actual] += 0.5 + 0.015 * place
            counts = generator.multinomial(40, chances / chances.sum())
            rows += [
                {"norm": norm, "actual": label, "predicted": labels[other], "clips": int(count), "share": count / 40}
                for other, count in enumerate(counts)
            ]
    return pd.DataFrame(rows)


def verdict(
    families: dict[str, str] = FAMILIES, labels: list[str] = LABELS, *, decided: str | None = "pcen"
) -> Verdict:
    """Of which the pictures see the tables, the decision and chance."""
    modes = list(families)
    nothing: Any = None
    return Verdict(
        baseline=modes[0],
        decision=Decision(state="decided", mode=decided, sentence="", near={}, shortfall={}),
        variance=nothing,
        outlook=nothing,
        chance=1 / len(labels),
        modes=twenty.modes(families).assign(metric="accuracy"),
        floors={},
        pairs=twenty.pairs(families),
        classes=twenty.classes(families, labels),
        clips=pd.DataFrame(),
        draws=100,
    )


def inputs(families: dict[str, str] = FAMILIES, params: MelParams = MEL) -> Inputs:
    """A clip of a sweep in noise, as every mode hands it over."""
    generator = np.random.default_rng(0)
    place = np.arange(params.bins)[:, None] / params.bins - np.arange(params.frames) / params.frames
    level = (-60 + 40 * np.exp(-((12 * place) ** 2)) + generator.normal(0, 6, place.shape)).astype(np.float32)
    levels: dict[Waveform, Tensor] = {name: torch.from_numpy(level)[None, None] for name in WAVEFORMS}
    modes = {
        mode: TrainedMode(
            "raw" if mode == "none" or mode.endswith("_raw") else "standardized",
            nn.Identity() if mode in ("none", "waveform") else Moved(place),
        )
        for place, mode in enumerate(families)
    }
    return Inputs(["sweep.wav"], levels, modes)


def pictures(families: dict[str, str] = FAMILIES, labels: list[str] = LABELS) -> dict[str, Picture]:
    """The whole gallery."""
    wave = np.sin(np.cumsum(np.linspace(0, math.pi / 2, MEL.samples))).astype(np.float32)
    example = Example("sweep.wav", labels[0], 0, {"raw": 0.5 * wave, "standardized": 1.4 * wave})
    return gallery.figures(
        verdict(families, labels, decided=list(families)[-1]),
        CellTables(twenty.cells(families), twenty.curves(families), confusion(families, labels)),
        inputs(families),
        twenty.survivals(families),
        {waveform: [training(fold, waveform, MEL) for fold in (1, 2, 3, 4, 5)] for waveform in WAVEFORMS},
        example,
        MEL,
        labels,
        families,
    )
