"""torchaudio, loaded where it is first needed: only mel filters and sinc resampling do."""

from __future__ import annotations

from types import ModuleType

from specnorm.errors import ResourceError


def torchaudio_functional() -> ModuleType:
    """``torchaudio.functional``.

    Raises:
        ResourceError: torchaudio is missing, or was built for another torch than the one that is installed.
    """
    try:
        import torchaudio.functional
    except (ImportError, OSError, RuntimeError) as error:  # the last where the two are of different CUDA releases
        import torch

        raise ResourceError(
            "torchaudio cannot be loaded",
            expected=f"the release for torch {torch.__version__}",
            got=error,
            hint="Install torchaudio in torch's own version; for torch 2.11 to 2.14, torchaudio 2.11",
        ) from error
    return torchaudio.functional  # type: ignore[no-any-return]
