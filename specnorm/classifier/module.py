"""A trained cell as a product: waveforms in, class probabilities out."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from specnorm.audio.front_end import FrontEnd, describe
from specnorm.audio.waveform import standardize
from specnorm.errors import IntegrityError
from specnorm.files import fingerprint, sha256_file
from specnorm.normalization import fitted
from specnorm.params import LinearParams, MelParams, ModelParams, Waveform
from specnorm.training.cells import MODEL_FILE, StoredCell, weights
from specnorm.training.model import Model, blank_network


class Classifier(nn.Module):
    """Waveforms -> class probabilities, with everything that stands between them in training.

    Args:
        front_end: makes spectrograms of waveforms.
        waveform: the variant of the waveforms that the network was trained on.
        normalizer: maps dB spectrograms ``[batch, 1, bins, frames]`` to what the network sees.
        network: maps those to logits ``[batch, classes]``.
    """

    def __init__(self, front_end: FrontEnd, waveform: Waveform, normalizer: nn.Module, network: nn.Module) -> None:
        super().__init__()
        # torch's window is a slice of a longer one, and saving an exported graph warns of a part of a tensor.
        front_end.window = front_end.window.clone()
        self.front_end = front_end
        self.waveform = waveform
        self.model = Model(normalizer, network)

    @property
    def samples(self) -> int:
        """Length of a waveform in samples."""
        return self.front_end.params.samples

    def forward(self, waveforms: Tensor) -> Tensor:
        """Raw waveforms ``[batch, samples]`` (float32, at the front end's rate) -> probabilities ``[batch, classes]``.

        The values are not checked, so that the whole is one graph: a clip with a value that is not finite gets
        probabilities that are NaN, and no other clip of the batch does.
        """
        if self.waveform == "standardized":
            waveforms = standardize(waveforms)
        logits = self.model(self.front_end.levels(waveforms))
        return torch.softmax(logits, dim=1)


def load(cell: StoredCell, normalizer: Path, front_end: LinearParams | MelParams) -> Classifier:
    """The classifier of a trained cell, in evaluation mode, in float32, on the CPU.

    Args:
        cell: whose weights.
        normalizer: the file of the fitted mode that the cell was trained with.
        front_end: the parameters of the spectrograms that the cell was trained on.

    Raises:
        IntegrityError: a file is damaged, or the three do not belong together; the message names the file.
    """
    path = cell.folder / MODEL_FILE
    mode = fitted.read(normalizer)
    facts = [
        ("normaliser", normalizer, cell.metrics["normalizer"], sha256_file(normalizer)),
        ("mode", normalizer, cell.key.norm, mode.mode),
        ("front end", path, cell.metrics["front_end"], fingerprint(describe(front_end))),
        ("number of frequency bins", normalizer, front_end.bins, mode.bins),
    ]
    for what, where, expected, found in facts:
        if expected != found:
            raise IntegrityError(f"another {what}", where=where, expected=expected, got=found)
    state = weights(cell)
    try:
        settings = ModelParams.model_validate(cell.metrics["model"])
    except ValidationError as error:
        raise IntegrityError("another network", where=cell.folder, got=cell.metrics["model"]) from error
    network = blank_network(settings, classes=cell.probabilities.shape[1])
    classifier = Classifier(FrontEnd(front_end), mode.waveform, mode.build(), network)
    try:
        classifier.model.load_state_dict(state)
    except RuntimeError as error:  # names what is missing, left over, or of another shape
        raise IntegrityError("weights of another model", where=path, got=error) from error
    return classifier.eval()


def export(classifier: Classifier) -> torch.export.ExportedProgram:
    """The classifier as one graph without Python code, for batches of any number of clips."""
    example = torch.zeros(2, classifier.samples)  # two: a batch of one would be taken for a constant
    return torch.export.export(classifier, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
