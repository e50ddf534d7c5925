"""How should a log-spectrogram be normalised before a network sees it?

What a person with a network and a loader of their own needs stands here by name; ``docs/library.md`` shows each at
work. Importing this package imports nothing else: a name brings what it needs when it is first used.

>>> import numpy as np
>>> import specnorm as sn
>>> front = sn.FrontEnd.linear(sample_rate=16000, clip_seconds=1.0)
>>> front.bins, front.frames
(201, 81)
>>> sn.fit("identity", front.bins)
Identity()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specnorm.audio.clip import load_clip
    from specnorm.audio.front_end import FrontEnd
    from specnorm.audio.waveform import standardize
    from specnorm.errors import SpecnormError
    from specnorm.normalization.base import Normalizer, fit
    from specnorm.normalization.identity import Identity
    from specnorm.normalization.standardize import Channel, Global
    from specnorm.statistics.recorder import Statistics

__version__ = "0.1.0"

__all__ = [
    "Channel",
    "FrontEnd",
    "Global",
    "Identity",
    "Normalizer",
    "SpecnormError",
    "Statistics",
    "__version__",
    "fit",
    "load_clip",
    "standardize",
]

_HOMES = {
    "Channel": "specnorm.normalization.standardize",
    "FrontEnd": "specnorm.audio.front_end",
    "Global": "specnorm.normalization.standardize",
    "Identity": "specnorm.normalization.identity",
    "Normalizer": "specnorm.normalization.base",
    "SpecnormError": "specnorm.errors",
    "Statistics": "specnorm.statistics.recorder",
    "fit": "specnorm.normalization.base",
    "load_clip": "specnorm.audio.clip",
    "standardize": "specnorm.audio.waveform",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next time, Python finds it without asking
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
