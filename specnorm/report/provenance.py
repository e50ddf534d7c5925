"""What a reader must know beside the verdict to trust a run or to repeat it, as a page shows it."""

from __future__ import annotations

from collections.abc import Sequence

from specnorm.datasets.lengths import sentences
from specnorm.params import LinearParams, MelParams, ModelParams, TrainParams
from specnorm.shards.fit import fit_sentence
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell

_UNTOLD = "unknown"  # by cells of earlier versions


def provenance(
    stored: Sequence[StoredCell],
    shards: Shards,
    spectrogram: LinearParams | MelParams,
    model: ModelParams,
    train: TrainParams,
) -> dict[str, str]:
    """Data, front end, network, recipe, device and versions in words; where cells differ, all that there was."""

    def all_of(name: str) -> str:
        return ", ".join(sorted({str(cell.run.get(name, _UNTOLD)) for cell in stored}))

    batch_norm = all_of("batch_norm")
    front_end = spectrogram.model_dump(mode="json")
    lengths = shards.manifest["dataset"].get("lengths")
    told = [*(sentences(lengths) if lengths else []), *([fit_sentence(shards.fit)] if shards.fit else [])]
    recipe = train.model_dump(mode="json", exclude={"memory_gb", "device", "precision"})
    return {
        "data set": f"{shards.manifest['dataset']['origin']}, content digest {shards.dataset_digest}",
        **({"lengths": "; ".join(told)} if told else {}),
        "front end": ", ".join(f"{name} {value}" for name, value in front_end.items() if value is not None),
        "network": ", ".join(str(value) for value in model.model_dump(mode="json").values()),
        "training": ", ".join(f"{name} {value}" for name, value in recipe.items()),
        **({"batch normalisation": f"{batch_norm} statistics"} if batch_norm != _UNTOLD else {}),
        "device": f"{all_of('device_name')}; {all_of('precision')}; threads of a cell: {all_of('threads')}",
        "versions": f"Python {all_of('python')}, torch {all_of('torch')}",
    }
