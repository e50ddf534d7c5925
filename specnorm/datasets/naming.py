"""What a data set is called where results of several stand side by side: titles, MLflow's data sets and models."""

from __future__ import annotations

import os.path
import re
import unicodedata
from pathlib import PurePath

from specnorm.params.dataset import DatasetParams, EscParams, SyntheticParams

_LONGEST = 100  # characters, as `dataset.name` may have


def dataset_name(params: DatasetParams) -> str:
    """The name that the parameters give; without one, that of the source, made of the characters of a name.

    Published and generated sets are called by what they are; one's own, and a cut of a published one, by the source's
    file or folder without ``.zip``, or by its kind where nothing of that is left.
    """
    if params.name is not None:
        return params.name
    if isinstance(params, EscParams) and (params.source is None or params.complete):
        return "esc50" if params.subset == "all" else params.subset
    if isinstance(params, SyntheticParams):
        return params.kind
    assert params.source is not None
    # Spelt out and not looked up: a name must not depend on where the repository lies.
    base = re.sub(r"\.zip$", "", PurePath(os.path.normpath(params.source)).name, flags=re.IGNORECASE)
    fit = re.sub(r"[^\w .-]+", "-", unicodedata.normalize("NFC", base))  # an accent by itself is no letter
    return re.sub(r"^\W+", "", fit)[:_LONGEST].rstrip() or params.kind
