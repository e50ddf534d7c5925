"""One cell from its initial weights to its predictions."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name for it)
from tqdm import tqdm

from specnorm.errors import ConfigurationError, DivergenceError, ResourceError
from specnorm.params import ModelParams, TrainParams
from specnorm.training import recipe, seeds
from specnorm.training.batches import Clips, evaluation_batches, training_batches
from specnorm.training.checkpoint import Checkpoint
from specnorm.training.device import Choice
from specnorm.xresnet import xresnet18

EpochRow = dict[str, float]  # epoch, learning_rate, train_loss, valid_loss, valid_accuracy


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
    """A trained cell: ``history`` has a row an epoch, ``probabilities`` are ``[held-out clips, classes]``."""

    model: nn.Module
    history: list[EpochRow]
    probabilities: Tensor
    epoch_seconds: list[float]  # of the epochs that this process ran


def train(
    cell: Cell,
    model_params: ModelParams,
    params: TrainParams,
    choice: Choice,
    *,
    checkpoint: Checkpoint | None = None,
    report: Callable[[EpochRow], None] | None = None,
) -> Result:
    """Train and evaluate one cell; the last epoch's predictions count, never the best epoch's.

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
    try:
        return _train(cell, model_params, params, choice, checkpoint, report)
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            "out of memory",
            where=f"device {choice.device}",
            got=f"train.batch_size {params.batch_size}",
            hint=f"Try -S train.batch_size={max(2, params.batch_size // 2)}",
        ) from error


def _train(
    cell: Cell,
    model_params: ModelParams,
    params: TrainParams,
    choice: Choice,
    checkpoint: Checkpoint | None,
    report: Callable[[EpochRow], None] | None,
) -> Result:
    def fresh() -> tuple[nn.Sequential, torch.optim.AdamW]:
        model = build_model(cell, model_params).to(choice.device)
        return model, recipe.optimizer(model, params.weight_decay)

    model, optimizer = fresh()
    history: list[EpochRow] = []
    if checkpoint is not None:
        history = checkpoint.restore(model, optimizer)
        if not history:
            model, optimizer = fresh()
    train_clips = cell.train.to(choice.device)
    held_out = cell.held_out.to(choice.device)
    per_epoch = len(train_clips) // params.batch_size
    epoch_seconds = []
    probabilities: Tensor | None = None
    saved = time.perf_counter()
    for epoch in range(len(history), params.epochs):
        started = time.perf_counter()
        order = seeds.clip_order(len(train_clips), seed=cell.seed, fold=cell.fold, epoch=epoch)
        batches = training_batches(train_clips, params.batch_size, order)
        losses = []
        model.train()
        for index, (x, y) in enumerate(tqdm(batches, total=per_epoch, unit="batch", leave=False, disable=None)):
            step = recipe.one_cycle(epoch * per_epoch + index, params.epochs * per_epoch, params.learning_rate)
            recipe.apply(step, optimizer)
            loss = F.cross_entropy(_logits(model, x, choice), y)
            if not torch.isfinite(loss):
                raise DivergenceError(
                    "the loss is not a finite number",
                    where=f"epoch {epoch + 1}, batch {index + 1}",
                    got=f"loss {loss.item()} at learning rate {step.learning_rate:.3g}",
                    hint="Lower train.learning_rate; the last saved epoch is kept",
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
        probabilities = predict(model, held_out, params.batch_size, choice)
        if not torch.isfinite(probabilities).all():
            raise DivergenceError(
                "the predictions are not finite numbers",
                where=f"epoch {epoch + 1}, held-out clips",
                got=f"weights after learning rate {step.learning_rate:.3g}",
                hint="Lower train.learning_rate; the last saved epoch is kept",
            )
        row = {
            "epoch": epoch + 1,
            "learning_rate": step.learning_rate,
            "train_loss": float(torch.stack(losses).double().mean()),
            **score(probabilities, cell.held_out.targets),
        }
        epoch_seconds.append(time.perf_counter() - started)
        history.append(row)
        if checkpoint is not None and time.perf_counter() - saved >= checkpoint.every_s:
            checkpoint.save(model, optimizer, history)
            saved = time.perf_counter()
        if report is not None:
            report(row)
    if probabilities is None:  # every epoch was in the checkpoint
        probabilities = predict(model, held_out, params.batch_size, choice)
    return Result(model.cpu(), history, probabilities, epoch_seconds)


def build_model(cell: Cell, params: ModelParams) -> nn.Sequential:
    """Normaliser and network as one module: dB spectrograms ``[batch, 1, bins, frames]`` in, logits out."""
    generator = seeds.initial_weights(seed=cell.seed, fold=cell.fold)
    network = xresnet18(cell.classes, generator=generator, stem_init=params.stem_init)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return nn.Sequential(OrderedDict(normalizer=cell.normalizer(), network=network))


@torch.no_grad()
def predict(model: nn.Module, clips: Clips, batch_size: int, choice: Choice) -> Tensor:
    """Class probabilities ``[clips, classes]`` (float32, on the CPU) in evaluation mode."""
    model.eval()
    batches = evaluation_batches(clips, batch_size)
    return torch.cat([F.softmax(_logits(model, x, choice), dim=1).cpu() for x, _ in batches])


def score(probabilities: Tensor, targets: Tensor) -> dict[str, float]:
    """Mean log loss (nats) and accuracy of ``probabilities`` ``[clips, classes]`` against ``targets`` ``[clips]``."""
    likelihood = probabilities.double()[torch.arange(len(targets)), targets]
    smallest = torch.finfo(torch.float32).tiny
    return {
        "valid_loss": float(-likelihood.clamp_min(smallest).log().mean()),
        "valid_accuracy": float((probabilities.argmax(1) == targets).double().mean()),
    }


def _logits(model: nn.Module, x: Tensor, choice: Choice) -> Tensor:
    with torch.autocast(
        choice.device.type, dtype=choice.autocast or torch.bfloat16, enabled=choice.autocast is not None
    ):
        logits: Tensor = model(x)
    return logits.float()
