"""One cell from its initial weights to its predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name for it)
from tqdm import tqdm

from specnorm.errors import ConfigurationError, DivergenceError, ResourceError
from specnorm.params import ModelParams, TrainParams
from specnorm.training import batch_norm, memory, recipe, seeds
from specnorm.training.batches import Batch, Batches, Clips, Resident, Streamed
from specnorm.training.checkpoint import Checkpoint
from specnorm.training.device import Choice
from specnorm.training.model import Model, initial_network
from specnorm.training.scores import log_losses, right

EpochRow = dict[str, float]  # epoch, learning_rate, train_loss, valid_loss, valid_accuracy

# The allocators of CPUs, CUDA and its libraries say it in these words, not by one class of error.
_EXHAUSTED = ("out of memory", "can't allocate memory", "ALLOC_FAILED")

_LOWER = "Lower train.learning_rate; the last saved epoch is kept"


@dataclass(frozen=True)
class Cell:
    """What one training run is made of."""

    fold: int
    seed: int
    classes: int
    train: Clips
    held_out: Clips
    normalizer: Callable[[], nn.Module]  # a fresh one each call: it may be trained with the network


@dataclass(frozen=True)
class Result:
    """A trained cell: ``history`` has a row an epoch, ``probabilities`` are ``[held-out clips, classes]``.

    The history's held-out figures are computed in the precision of the training, the last epoch's from the
    probabilities, in float32: they are the cell's.
    """

    model: Model
    history: list[EpochRow]
    probabilities: Tensor
    epoch_seconds: list[float]  # of the epochs that this process ran
    clips: str  # "resident" on the device, or "streamed" to it
    batch_norm: str  # what it evaluates with at the end: "running" statistics, or "recomputed" ones


def train(
    cell: Cell,
    model_params: ModelParams,
    params: TrainParams,
    choice: Choice,
    *,
    memory_share: float = 1.0,
    checkpoint: Checkpoint | None = None,
    report: Callable[[EpochRow], None] | None = None,
) -> Result:
    """Train and evaluate one cell; the last epoch's weights count, never the best epoch's.

    Args:
        cell: the clips, the normaliser, and what the draws come from.
        model_params: the network.
        params: the recipe.
        choice: device and precision.
        memory_share: how much of the device's memory is this process's to reckon with, where others train beside it.
        checkpoint: where the state is kept between epochs.
        report: called with each epoch's row.

    Raises:
        ConfigurationError: the batch is larger than the training set.
        DivergenceError: a loss or a prediction is not finite. No step is taken on such a loss; the checkpoint keeps
            the last saved epoch, whose predictions were finite.
        ResourceError: the device ran out of memory.
    """
    if len(cell.train) < params.batch_size:
        raise ConfigurationError(
            "the batch is larger than the training set",
            where="train.batch_size",
            expected=f"at most {len(cell.train)} clips",
            got=params.batch_size,
        )
    smaller = params.batch_size // 2
    with _out_of_memory(choice, "clips held on the device", f"Try train.memory_gb={_less_memory(cell):.2g}"):
        batches = hold(cell, choice.device, params.memory_gb, memory_share)
    hint = f"Try train.batch_size={smaller}" if smaller > 1 else "Train on a device with more memory"
    with _out_of_memory(choice, f"train.batch_size {params.batch_size}", hint):
        return _train(cell, model_params, params, choice, batches, checkpoint, report)


@contextmanager
def _out_of_memory(choice: Choice, got: str, hint: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch's are RuntimeErrors, with or without a class of their own
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and not any(words in str(error) for words in _EXHAUSTED):
            raise
        raise ResourceError("out of memory", where=f"device {choice.device}", got=got, hint=hint) from error


def _less_memory(cell: Cell) -> float:
    """A budget in GB that holds half of the clips, which makes all of them be read ahead."""
    return (cell.train.nbytes + cell.held_out.nbytes) / 2e9


def _train(
    cell: Cell,
    model_params: ModelParams,
    params: TrainParams,
    choice: Choice,
    batches: tuple[Batches, Batches],
    checkpoint: Checkpoint | None,
    report: Callable[[EpochRow], None] | None,
) -> Result:
    def fresh() -> tuple[Model, torch.optim.AdamW]:
        model = build_model(cell, model_params).to(choice.device)
        return model, recipe.optimizer(model, params.weight_decay)

    model, optimizer = fresh()
    history: list[EpochRow] = []
    if checkpoint is not None:
        history = checkpoint.restore(model, optimizer)
        if not history:
            model, optimizer = fresh()
    train_batches, held_out_batches = batches
    steps = len(cell.train) // params.batch_size  # an epoch
    few = params.epochs * steps < batch_norm.FEW_STEPS
    probabilities: Tensor | None = None
    epoch_seconds = []
    saved = time.perf_counter()
    for epoch in range(len(history), params.epochs):
        started = time.perf_counter()
        order = seeds.clip_order(len(cell.train), seed=cell.seed, fold=cell.fold, epoch=epoch)
        schedule = [
            recipe.one_cycle(epoch * steps + index, params.epochs * steps, params.learning_rate)
            for index in range(steps)
        ]
        losses = train_epoch(model, optimizer, train_batches.training(params.batch_size, order), schedule, choice)
        _check_losses(losses, epoch, schedule)
        if epoch + 1 == params.epochs:
            probabilities = _final(model, batches, params, choice, few=few)
        else:
            probabilities = predict(model, held_out_batches, params.batch_size, choice)
        if not torch.isfinite(probabilities).all():
            raise DivergenceError(
                "the predictions are not finite numbers",
                where=f"epoch {epoch + 1}, held-out clips",
                got=f"weights after learning rate {schedule[-1].learning_rate:.3g}",
                hint=_LOWER,
            )
        row = {
            "epoch": epoch + 1,
            "learning_rate": schedule[-1].learning_rate,
            "train_loss": float(losses.double().mean()),
            **score(probabilities, cell.held_out.targets),
        }
        epoch_seconds.append(time.perf_counter() - started)
        history.append(row)
        if checkpoint is not None and time.perf_counter() - saved >= checkpoint.every_s:
            checkpoint.save(model, optimizer, history)
            saved = time.perf_counter()
        if report is not None:
            report(row)
    if probabilities is None:  # the checkpoint was the last epoch's
        probabilities = _final(model, batches, params, choice, few=few)
    clips = type(train_batches).__name__.lower()
    return Result(model.cpu(), history, probabilities, epoch_seconds, clips, "recomputed" if few else "running")


def _final(model: Model, batches: tuple[Batches, Batches], params: TrainParams, choice: Choice, *, few: bool) -> Tensor:
    """What the trained cell predicts, in float32 whatever it was trained in.

    Whoever uses the weights later, on whatever machine, must find these probabilities again; bf16 gives others (by up
    to 0.04 on ESC-10) wherever it is not computed in the same way.
    """
    training, held_out = batches
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
        if few:
            batch_norm.recompute(model, training, params.batch_size)
        return predict(model, held_out, params.batch_size, choice._replace(autocast=None))


def train_epoch(
    model: Model,
    optimizer: torch.optim.AdamW,
    batches: Iterable[Batch],
    schedule: list[recipe.Step],
    choice: Choice,
) -> Tensor:
    """A step a batch; returns the losses ``[batches]`` (nats, on the CPU).

    From the first loss on that is not finite, no step changes a weight. That is decided on the device: asking a GPU
    for every loss would make it wait for the question.
    """
    model.train()
    losses = []
    broken = torch.zeros((), device=choice.device)
    progress = tqdm(zip(schedule, batches, strict=True), total=len(schedule), unit="batch", leave=False, disable=None)
    for step, (x, y) in progress:
        recipe.apply(step, optimizer)
        loss = F.cross_entropy(_logits(model, x, choice), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        broken = torch.maximum(broken, (~torch.isfinite(losses[-1])).float())
        recipe.take(optimizer, unless=broken)
    return torch.stack(losses).cpu()


def _check_losses(losses: Tensor, epoch: int, schedule: list[recipe.Step]) -> None:
    broken = torch.nonzero(~torch.isfinite(losses)).flatten()
    if len(broken):
        first = int(broken[0])
        raise DivergenceError(
            "the loss is not a finite number",
            where=f"epoch {epoch + 1}, batch {first + 1}",
            got=f"loss {losses[first].item()} at learning rate {schedule[first].learning_rate:.3g}",
            hint=_LOWER,
        )


def hold(cell: Cell, device: torch.device, memory_gb: float | None, share: float = 1.0) -> tuple[Batches, Batches]:
    """Training and held-out batches: of clips held on ``device`` where they fit into the budget, else read ahead.

    Args:
        cell: whose clips.
        device: where the batches are used.
        memory_gb: the budget in GB (1e9 bytes); ``None`` takes half of the device's free memory.
        share: the part of it that is this process's.
    """
    budget = memory.clips_budget(device) * share if memory_gb is None else memory_gb * 1e9
    kind = Resident if cell.train.nbytes + cell.held_out.nbytes <= budget else Streamed
    return kind(cell.train, device), kind(cell.held_out, device)


def build_model(cell: Cell, params: ModelParams) -> Model:
    """The cell's model as its training starts with it, laid out as its convolutions are fastest."""
    network = initial_network(params, classes=cell.classes, seed=cell.seed, fold=cell.fold)
    return Model(cell.normalizer(), network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


@torch.no_grad()
def predict(model: Model, batches: Batches, batch_size: int, choice: Choice) -> Tensor:
    """Class probabilities ``[clips, classes]`` (float32, on the CPU) in evaluation mode."""
    model.eval()
    return torch.cat([F.softmax(_logits(model, x, choice), dim=1) for x, _ in batches.evaluation(batch_size)]).cpu()


def score(probabilities: Tensor, targets: Tensor) -> dict[str, float]:
    """Mean log loss (nats) and accuracy of ``probabilities`` ``[clips, classes]`` against ``targets`` ``[clips]``."""
    found, wanted = probabilities.numpy(), targets.numpy()
    return {
        "valid_loss": float(log_losses(found, wanted).mean()),
        "valid_accuracy": float(right(found, wanted).mean()),
    }


def _logits(model: Model, x: Tensor, choice: Choice) -> Tensor:
    # The normaliser sees float32 whatever the precision: bfloat16 has three digits, and a level in decibels has two
    # before its point.
    x = model.normalizer(x)
    with torch.autocast(
        choice.device.type, dtype=choice.autocast or torch.bfloat16, enabled=choice.autocast is not None
    ):
        logits: Tensor = model.network(x)
    return logits.float()
