"""Normalisation modes: what stands between the dB spectrogram and the network.

Every module of this package is imported here, so that a new kind is one class in a file of its own.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
