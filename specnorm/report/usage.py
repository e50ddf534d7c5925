"""The lines of library code that do in one's own training what a mode does in the pipeline."""

from __future__ import annotations

import inspect

from specnorm.audio.front_end import FrontEnd
from specnorm.normalization.base import kind_named
from specnorm.params import LinearParams, MelParams, NormParams


def code(mode: NormParams, front_end: LinearParams | MelParams) -> str:
    """Python that needs a ``loader`` of waveforms and a ``network``, and makes the ``model``.

    Args:
        mode: what to do.
        front_end: with which spectrograms; settings that are the library's defaults are left out.

    >>> mode = NormParams(kind="global", waveform="standardized")
    >>> print(code(mode, FrontEnd.mel(n_mels=64).params))
    import torch, specnorm as sn
    front = sn.FrontEnd.mel(n_mels=64)
    stats = sn.Statistics.like(front)
    for waveforms, _ in loader:  # of the training set alone
        stats.update(front(sn.standardize(waveforms)))
    norm = sn.fit("global", stats)
    model = torch.nn.Sequential(front, norm, network)  # takes sn.standardize(waveforms)
    """
    kind = kind_named(mode.kind)
    options = "".join(f", {name}={value!r}" for name, value in mode.options.items())
    waveforms = "sn.standardize(waveforms)" if mode.waveform == "standardized" else "waveforms"
    lines = ["import torch, specnorm as sn", f"front = sn.FrontEnd.{front_end.transform}({_settings(front_end)})"]
    if kind.fitted_on == "moments":
        lines += [
            "stats = sn.Statistics.like(front)",
            "for waveforms, _ in loader:  # of the training set alone",
            f"    stats.update(front({waveforms}))",
        ]
    if kind.cost:
        source = "stats" if kind.fitted_on == "moments" else "front.bins"
        lines += [f'norm = sn.fit("{mode.kind}", {source}{options})']
    parts = "front, norm, network" if kind.cost else "front, network"
    lines += [f"model = torch.nn.Sequential({parts})  # takes {waveforms}"]
    return "\n".join(lines)


def _settings(front_end: LinearParams | MelParams) -> str:
    values = front_end.model_dump(mode="json", exclude={"transform", "storage"})
    known = inspect.signature(getattr(FrontEnd, front_end.transform)).parameters
    defaults = {name: known[name].default for name in values}
    if defaults["win_length"] is None:  # as long as the transform
        defaults["win_length"] = values["n_fft"]
    return ", ".join(f"{name}={value!r}" for name, value in values.items() if value != defaults[name])
