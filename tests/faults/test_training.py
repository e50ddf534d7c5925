"""Training that goes wrong: losses that are no numbers, memory, kills, and checkpoints that are not to be trusted."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn, optim

from specnorm import files
from specnorm.errors import DivergenceError, IntegrityError, ResourceError, SpecnormError
from specnorm.training import cells, key, loop
from specnorm.training.checkpoint import Checkpoint, _digest
from tests.builders import tree
from tests.training import small

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specnorm.training.model.xresnet18", small.small_network)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "cell.safetensors", "this cell")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The models that training builds, in order: the last one is trained, and still there when training raised."""
    built: list[nn.Module] = []
    build = loop.build_model

    def spy(*arguments: object) -> nn.Module:
        built.append(build(*arguments))  # type: ignore[arg-type]
        return built[-1]

    monkeypatch.setattr(loop, "build_model", spy)
    return built


def parameters(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def poisoned(clip: int) -> loop.Cell:
    cell = small.make_cell()
    cell.train.parts[0][clip, 0, 3, 4] = torch.nan
    return cell


def count_steps(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None] = lambda _: None) -> list[int]:
    """The optimiser steps taken; ``before`` is called with each one's number, from 1."""
    taken: list[int] = []
    step = optim.AdamW.step

    def counted(self: optim.AdamW, *arguments: object) -> object:
        taken.append(len(taken) + 1)
        before(taken[-1])
        return step(self, *arguments)

    monkeypatch.setattr(optim.AdamW, "step", counted)
    return taken


# A loss that is not a number


@pytest.mark.case("T4")
def test_no_weight_changes_from_a_poisoned_batch_on(model: list[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    weights: list[list[torch.Tensor]] = []
    cell = poisoned(5)
    fresh = parameters(loop.build_model(cell, small.MODEL))
    order = loop.seeds.clip_order(14, seed=0, fold=1, epoch=0).tolist()
    batch = order.index(5) // 4
    assert batch == 1  # neither the first batch nor the dropped rest, so that this test shows something
    step = optim.AdamW.step

    def kept(self: optim.AdamW, *arguments: object) -> object:
        result = step(self, *arguments)
        weights.append(parameters(model[-1]))
        return result

    monkeypatch.setattr(optim.AdamW, "step", kept)
    with pytest.raises(DivergenceError, match=r"not a finite number in epoch 1, batch 2: got loss nan") as caught:
        small.run(cell)
    assert caught.value.exit_code == 6
    assert re.search(r"at learning rate 0\.0\d+\. Lower train\.learning_rate", str(caught.value))
    assert len(weights) == 3
    assert not torch.equal(weights[0][0], fresh[0])  # the first batch was learnt from
    for after in (weights[1], weights[2], parameters(model[-1])):  # neither the broken one nor the one that follows it
        assert all(torch.equal(a, b) for a, b in zip(weights[0], after, strict=True))


@pytest.mark.case("T4")
def test_a_late_divergence_keeps_the_last_whole_epoch(
    checkpoint: Checkpoint, model: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    cross_entropy = loop.F.cross_entropy
    calls = 0

    def breaking(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        loss: torch.Tensor = cross_entropy(logits, targets)
        return loss * torch.inf if calls == 7 else loss  # 3 batches an epoch: the first of the third

    with monkeypatch.context() as patch:
        patch.setattr(loop.F, "cross_entropy", breaking)
        with pytest.raises(DivergenceError, match=r"epoch 3, batch 1: got loss inf at learning rate 0\.00"):
            small.run(checkpoint=checkpoint)
    stored = load_file(checkpoint.path)
    for name, value in model[-1].named_parameters():
        assert torch.equal(stored[f"model.{name}"], value), name  # those of the last step, and no later ones
    with safe_open(checkpoint.path, framework="pt") as opened:
        assert len(json.loads(opened.metadata()["history"])) == 2
    assert small.equal(small.run(checkpoint=checkpoint), small.run())


@pytest.mark.case("T4")
def test_a_mad_learning_rate_ends_as_an_error_and_not_as_a_number(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = count_steps(monkeypatch)
    with pytest.raises(DivergenceError, match="learning rate"):
        small.run(checkpoint=checkpoint, learning_rate=1e38, epochs=20)
    assert len(taken) < 60


@pytest.mark.case("T4")
def test_weights_that_break_in_an_epochs_last_step_are_not_a_result(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the last batch is finite; the step that follows it is not, and no later loss tells."""

    def break_gradients(number: int) -> None:
        if number == 6:  # the last step of the second epoch
            for group in optimizers[-1].param_groups:
                group["params"][0].grad.fill_(torch.inf)

    optimizers: list[optim.AdamW] = []
    make = loop.recipe.optimizer

    def kept(*arguments: object) -> optim.AdamW:
        optimizers.append(make(*arguments))  # type: ignore[arg-type]
        return optimizers[-1]

    monkeypatch.setattr(loop.recipe, "optimizer", kept)
    count_steps(monkeypatch, break_gradients)
    with pytest.raises(DivergenceError, match="epoch 2"):
        small.run(checkpoint=checkpoint, epochs=2)
    assert all(torch.isfinite(value).all() for value in load_file(checkpoint.path).values())


def test_a_poisoned_held_out_clip_is_not_a_result() -> None:
    cell = small.make_cell()
    cell.held_out.parts[0][1, 0, 3, 4] = torch.nan
    with pytest.raises(SpecnormError, match="held-out"):
        small.run(cell)


# Memory


@pytest.mark.case("T5")
@pytest.mark.parametrize(
    ("batch_size", "hint"),
    [(8, "Try train.batch_size=4"), (7, "Try train.batch_size=3"), (2, "Train on a device with more memory")],
)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.AcceleratorError("CUDA error: out of memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_names_the_batch_and_a_smaller_one(
    monkeypatch: pytest.MonkeyPatch, batch_size: int, hint: str, error: Exception
) -> None:
    seen: list[int] = []

    def hungry(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        raise error

    monkeypatch.setattr(nn.Conv2d, "forward", hungry)
    with pytest.raises(ResourceError, match=f"got train.batch_size {batch_size}. {hint}$"):
        small.run(batch_size=batch_size)
    assert seen == [batch_size]  # no silent second try
    assert ResourceError.exit_code == 5


def test_clips_that_do_not_fit_are_told_how_to_be_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = small.make_cell()
    whole = (cell.train.nbytes + cell.held_out.nbytes) / 1e9

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop, "Resident", full)
    with pytest.raises(ResourceError, match=r"clips held on the device. Try train\.memory_gb=") as caught:
        small.run(cell)
    advised = float(str(caught.value).rpartition("=")[2])
    assert 0 < advised < whole
    assert small.run(cell, memory_gb=advised).clips == "streamed"


class Exhausted(nn.Module):
    """A module that fails as torch does where the machine has no more memory."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.empty(2**59, dtype=torch.uint8)


@pytest.mark.case("T5")
def test_a_machine_without_memory_is_told_the_same() -> None:
    with pytest.raises(ResourceError, match=r"out of memory in device cpu: .* Try train\.batch_size=2$"):
        small.run(small.make_cell(normalizer=Exhausted))


@pytest.mark.parametrize("error", [torch.AcceleratorError, NotImplementedError, RecursionError])
def test_another_failure_of_the_device_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, error: type[RuntimeError]
) -> None:
    """A smaller batch mends none of them."""

    def broken(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
        raise error("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(nn.Conv2d, "forward", broken)
    with pytest.raises(error, match="illegal"):
        small.run()


def test_another_runtime_error_is_not_taken_for_it() -> None:
    class Wrong(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ torch.ones(7)

    with pytest.raises(RuntimeError, match="size"):
        small.run(small.make_cell(normalizer=Wrong))


# Kills

CHILD = """
    import os, signal, sys
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    from specnorm.training import cells, loop, model
    from specnorm.training.checkpoint import Checkpoint
    from tests.training import small

    model.xresnet18 = small.small_network

    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    def between_epochs(folder):
        small.run(checkpoint=Checkpoint(folder / "cell.safetensors", "this cell"),
                  report=lambda row: kill() if row["epoch"] == 2 else None)

    def within_a_save(folder):
        calls = []
        def half(handle):
            calls.append(1)
            if len(calls) == 2:
                os.ftruncate(handle, os.fstat(handle).st_size // 2)
                kill()
        os.fsync = half
        between_epochs(folder)

    def within_an_epoch(folder):
        predict = loop.predict
        calls = []
        def dying(*arguments):
            calls.append(1)
            if len(calls) == 2:
                kill()
            return predict(*arguments)
        loop.predict = dying
        between_epochs(folder)

    def before_the_rename(folder):
        replace = Path.replace
        calls = []
        def dying(self, target):
            calls.append(1)
            if len(calls) == 2:
                kill()
            return replace(self, target)
        Path.replace = dying
        between_epochs(folder)

    def before_the_metrics(folder):
        result = small.run(checkpoint=Checkpoint(folder / "cell.safetensors", "this cell"))
        write = cells.write_sealed
        cells.write_sealed = lambda path, value: kill() if path.name == "metrics.json" else write(path, value)
        cells.write(folder / "cell", result, small.make_cell().held_out, {"norm": "none"}, {"device": "cpu"})

    for death in (between_epochs, within_a_save, within_an_epoch, before_the_rename, before_the_metrics):
        folder = Path(sys.argv[1]) / death.__name__
        folder.mkdir()
        child = os.fork()  # one import of torch for all deaths
        if child == 0:
            death(folder)
            os._exit(0)
        print(death.__name__, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.case("T1")
@pytest.mark.usefixtures("one_thread")
def test_a_killed_process_leaves_what_the_next_one_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    deaths = dict(line.split() for line in done.stdout.splitlines())
    assert set(deaths.values()) == {str(-signal.SIGKILL)}, done.stderr
    clean = small.run()
    epochs = dict.fromkeys(("within_a_save", "within_an_epoch", "before_the_rename"), 2)
    for death, left in (epochs | {"between_epochs": 1, "before_the_metrics": 0}).items():
        resumed = small.run(checkpoint=Checkpoint(tmp_path / death / "cell.safetensors", "this cell"))
        assert small.equal(resumed, clean), death
        assert len(resumed.epoch_seconds) == left, death
    # Killed after the last epoch, while the results were written: the next process writes what was to be written.
    half, held_out = tmp_path / "before_the_metrics/cell", small.make_cell().held_out
    assert {path.name for path in half.iterdir()} == {
        cells.MODEL_FILE,
        cells.HISTORY_FILE,
        cells.PREDICTIONS_FILE,
        key.RUN_FILE,
    }
    for folder, result in ((half, resumed), (tmp_path / "clean", clean)):
        cells.write(folder, result, held_out, {"norm": "none"}, {"device": "cpu"})
    assert tree(half) == tree(tmp_path / "clean")


# Checkpoints that are not to be trusted


class Sentinel:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def broken(how: str, good: bytes, folder: Path) -> bytes:
    if how == "pickle":
        return pickle.dumps(Sentinel(folder / "executed"))
    if how == "torch archive":
        buffer = io.BytesIO()
        torch.save({"x": Sentinel(folder / "executed")}, buffer)
        return buffer.getvalue()
    if how == "zip bomb":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("data.pkl", bytes(10_000_000))
        return buffer.getvalue()
    header = int.from_bytes(good[:8], "little")
    return {
        "empty": b"",
        "half": good[: len(good) // 2],
        "in the header": good[: 8 + header // 2],
        "one byte short": good[:-1],
        "one byte long": good + b"x",
        "zeros": bytes(len(good)),
        "huge header": (10**9).to_bytes(8, "little") + good[8:],
        "endless header": b"\xff" * 8 + good[8:],
        "no JSON": good[:8] + b"[" * header + good[8 + header :],
        "text": b"<html>not found</html>",
    }[how]


@pytest.mark.case("T2", "T12")
@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "half",
        "in the header",
        "one byte short",
        "one byte long",
        "zeros",
        "huge header",
        "endless header",
        "no JSON",
        "text",
        "pickle",
        "torch archive",
        "zip bomb",
    ],
)
def test_a_broken_file_is_set_aside_and_training_starts_from_fresh_weights(
    checkpoint: Checkpoint, tmp_path: Path, how: str
) -> None:
    small.run(checkpoint=checkpoint, epochs=1)
    data = broken(how, checkpoint.path.read_bytes(), tmp_path)
    checkpoint.path.write_bytes(data)
    with pytest.warns(UserWarning, match=r"cell\.safetensors set aside as cell\.damaged"):
        result = small.run(checkpoint=checkpoint)
    assert small.equal(result, small.run())
    assert (tmp_path / "cell.damaged").read_bytes() == data
    assert not (tmp_path / "executed").exists()


def rewritten(checkpoint: Checkpoint, **changes: object) -> None:
    """Change the stored header or tensors, and the digest with them; what is ``None`` is left out."""
    small.run(checkpoint=checkpoint, epochs=1)
    with safe_open(checkpoint.path, framework="pt") as stored:
        header = stored.metadata()
    tensors = load_file(checkpoint.path)
    for name, value in changes.items():
        target = header if name in header else tensors
        if value is None:
            del target[name]  # type: ignore[attr-defined]
        else:
            target[name] = value  # type: ignore[index]
    if "history" in header:
        with suppress(TypeError):  # a type without numpy's numbers has no digest
            header["digest"] = _digest(tensors, header["history"])
    save_file(tensors, checkpoint.path, header)


@pytest.mark.case("T3")
@pytest.mark.parametrize(
    "changes",
    [
        {"cell": "another cell"},
        {"cell": None},
        {"history": None},
        {"history": "no JSON"},
        {"model.network.0.weight": None},
        {"model.network.0.weight": torch.zeros(1)},
        {"model.extra": torch.zeros(1)},
        {"optimizer.junk": torch.zeros(1)},
        {"optimizer.x.exp_avg": torch.zeros(1)},
    ],
    ids=str,
)
def test_a_file_of_another_cell_or_model_is_set_aside(checkpoint: Checkpoint, changes: dict[str, object]) -> None:
    rewritten(checkpoint, **changes)
    with pytest.warns(UserWarning, match="set aside"):
        result = small.run(checkpoint=checkpoint)
    assert small.equal(result, small.run())


@pytest.mark.case("T2")
@pytest.mark.parametrize(
    "changes",
    [
        {"history": "null"},
        {"history": "5"},
        {"history": "{}"},
        {"history": "[]"},
        {"history": "[1]"},
        {"history": '[{"epoch": "1", "train_loss": 0.5}]'},
        {"history": '[{"epoch": 1, "train_loss": "low"}]'},
        {"history": '[{"epoch": 2, "train_loss": 0.5}]'},
        {"history": '[{"train_loss": 0.5}]'},
        {"history": "[" * 100_000},
        {"model.network.0.weight": torch.zeros(6, 1, 3, 3, dtype=torch.bfloat16)},
        {"optimizer.0.exp_avg": None},
        {"optimizer.0.exp_avg": torch.zeros(1)},
        {"optimizer.99.exp_avg": torch.zeros(1)},
    ],
    ids=str,
)
def test_a_whole_file_with_impossible_content_is_set_aside(checkpoint: Checkpoint, changes: dict[str, object]) -> None:
    rewritten(checkpoint, **changes)
    with pytest.warns(UserWarning, match="set aside"):
        result = small.run(checkpoint=checkpoint)
    assert small.equal(result, small.run())


@pytest.mark.case("T2")
def test_a_flipped_bit_in_a_weight_is_seen(checkpoint: Checkpoint) -> None:
    small.run(checkpoint=checkpoint, epochs=1)
    data = bytearray(checkpoint.path.read_bytes())
    data[-3] ^= 0x40
    checkpoint.path.write_bytes(bytes(data))
    with pytest.warns(UserWarning, match="set aside"):
        result = small.run(checkpoint=checkpoint)
    assert small.equal(result, small.run())


def test_a_folder_in_the_files_place_is_set_aside(checkpoint: Checkpoint) -> None:
    checkpoint.path.mkdir()
    with pytest.warns(UserWarning, match="set aside"):
        result = small.run(checkpoint=checkpoint)
    assert small.equal(result, small.run())


# A full disk


@pytest.mark.case("T11")
@pytest.mark.parametrize("write", ["checkpoint", "cell"])
def test_a_disk_that_really_is_full_is_an_error_of_ours(checkpoint: Checkpoint, tmp_path: Path, write: str) -> None:
    """The file size limit stands for a full disk: the write fails in safetensors' own code."""
    result = small.run(checkpoint=checkpoint, epochs=1)
    before = checkpoint.path.read_bytes()
    held_out = small.make_cell().held_out
    writes: dict[str, Callable[[], object]] = {
        "checkpoint": lambda: small.run(checkpoint=checkpoint),
        "cell": lambda: cells.write(tmp_path / "cell", result, held_out, {}, {}),
    }
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ResourceError, match="cannot write a file"):
            writes[write]()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert checkpoint.path.read_bytes() == before
    assert not list(tmp_path.rglob(f"*{files.PARTIAL_SUFFIX}"))


# The model file


@pytest.mark.case("T1")
def test_a_killed_rewrite_of_a_cell_leaves_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running a stage by hand over a finished cell: until the new one is whole there must be none."""
    held_out = small.make_cell().held_out
    cells.write(tmp_path, small.run(epochs=1), held_out, {"norm": "old"}, {})
    result = small.run(epochs=2)

    def full(path: Path, value: object) -> None:
        raise ResourceError("cannot write a file", where=path)

    monkeypatch.setattr(cells, "write_sealed", full)
    with pytest.raises(ResourceError):
        cells.write(tmp_path, result, held_out, {"norm": "new"}, {})
    with pytest.raises(IntegrityError):
        cells.read(tmp_path)


# MLflow and pickle


def test_training_imports_no_mlflow() -> None:
    """Ten seconds a cell; and a result must never depend on the tracking store."""
    code = "import stages.train, stages.compare, sys; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.case("T12")
def test_nothing_that_executes_on_loading_is_ever_written_or_read() -> None:
    forbidden = re.compile(
        r"\bimport (pickle|joblib|dill|shelve|marshal)|from (pickle|joblib|dill|shelve|marshal) |_pickle\(|"
        r"\bpickle\.|torch\.(save|load)\(|joblib|allow_pickle\s*=\s*True|yaml\.(unsafe_|full_)?load\((?!.*_NoDuplicates)"
    )
    sources = [path for folder in ("specnorm", "stages") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(sources) > 20
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if forbidden.search(line)
    ]
    assert found == []
