"""A clip: the bytes of an audio file become the waveform that a front end takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from specnorm.audio.decode import Recording, decode
from specnorm.audio.waveform import prepare
from specnorm.errors import DataError
from specnorm.params import LinearParams, MelParams, Waveform

if TYPE_CHECKING:
    from torch import Tensor

    from specnorm.audio.front_end import FrontEnd


def load_clip(path: str | os.PathLike[str], front: FrontEnd, *, standardized: bool = False) -> Tensor:
    """An audio file's waveform, float32 ``[samples]``, full scale 1, as a front end takes it.

    To the bit what the pipeline makes of the same file: decoded, mixed down to mono by the mean of its channels,
    resampled to the front end's rate, cut at the end or padded with zeros to its length.

    Args:
        path: a WAV, AIFF, FLAC, Ogg or MP3 file.
        front: whose rate (Hz), length (seconds) and resampler to use.
        standardized: make the waveform's mean 0 and its deviation 1, as :func:`specnorm.standardize` does.

    Raises:
        DataError: the file is missing, cannot be read, is not audio, is cut, is of another format than its name says,
            is longer than ten minutes, or holds samples that are not finite or far beyond full scale.

    >>> import soundfile, tempfile
    >>> import specnorm as sn
    >>> folder = tempfile.TemporaryDirectory()
    >>> soundfile.write(f"{folder.name}/half.wav", np.full(22050, 0.5), 44100)  # half a second
    >>> front = sn.FrontEnd.linear(clip_seconds=1.0)
    >>> waveform = sn.load_clip(f"{folder.name}/half.wav", front)
    >>> waveform.shape, front(waveform).shape
    (torch.Size([16000]), torch.Size([1, 201, 81]))
    >>> folder.cleanup()
    """
    import torch  # heavy, and the bytes of a clip do not need it

    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError("missing file", where=path) from None
    except OSError as error:
        raise DataError("unreadable file", where=path, got=error.strerror or error) from error
    _, waveforms = waveforms_of(data, front.params, name=str(path))
    return torch.from_numpy(waveforms["standardized" if standardized else "raw"])


def waveforms_of(
    data: bytes, params: LinearParams | MelParams, *, name: str
) -> tuple[Recording, dict[Waveform, NDArray[np.float32]]]:
    """A file's recording and both variants of the waveform that a front end takes, float32 ``[samples]``.

    Args:
        data: the whole file.
        params: of the front end.
        name: what errors call the file; its suffix must fit the bytes.

    Raises:
        DataError: as :func:`specnorm.audio.decode.decode`.
    """
    recording = decode(data, name=name)
    waveforms = prepare(recording, sample_rate=params.sample_rate, samples=params.samples, resampler=params.resampler)
    return recording, waveforms
