"""Network, optimiser and schedule against fastai's own, with which the published experiment was trained.

Importing fastai changes what every other test uses: it patches ``pathlib.Path``, ``torch.Tensor`` and
``pandas.DataFrame``, sets options of pandas, and warns of what its dependencies will remove. So it lives in a process
of its own: the functions whose names begin with ``fastai_`` run there, and numpy arrays go to and fro.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from specnorm.training import recipe
from specnorm.training.model import Model
from specnorm.training.xresnet import ResidualBlock, xresnet18

# Threads gain nothing on clips this small, and cost minutes where other work shares the cores.
pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
CLASSES = 50
PEAK, DECAY = 1e-3, 0.01
EPOCHS, BATCHES, CLIPS_A_BATCH = 2, 5, 4
STEPS = [recipe.one_cycle(step, EPOCHS * BATCHES, PEAK) for step in range(EPOCHS * BATCHES)]
# The published run: 1600 clips in batches of 64, 20 times.
PUBLISHED_EPOCHS, PUBLISHED_BATCHES = 20, 25
PUBLISHED_STEPS = PUBLISHED_EPOCHS * PUBLISHED_BATCHES

Arrays = list[NDArray[Any]]
Call = Callable[..., Any]
Data = tuple[NDArray[np.float64], NDArray[np.int64]]


class Trace(NamedTuple):
    """What a network does with one batch."""

    training: Arrays  # logits
    gradients: Arrays  # of every parameter
    state: Arrays  # weights and running statistics, after
    evaluation: Arrays  # logits, with the statistics that the batch has left


class Fit(NamedTuple):
    """What a fastai ``Learner`` did."""

    state: Arrays
    learning_rates: list[float]  # a step
    momenta: list[float]


def arrays(tensors: Any) -> Arrays:
    return [tensor.detach().numpy().copy() for tensor in tensors]


def state_of(network: nn.Module) -> Arrays:
    return arrays(network.state_dict().values())


def filled(network: nn.Module, state: Arrays) -> nn.Module:
    """``network`` in float64 with the tensors of a state dict, by order; none may be left over on either side."""
    tensors = (torch.from_numpy(values) for values in state)
    network.double().load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    return network


def trace(network: nn.Module, clips: NDArray[np.float64], targets: NDArray[np.int64]) -> Trace:
    x = torch.from_numpy(clips)
    training = network.train()(x)
    F.cross_entropy(training, torch.from_numpy(targets)).backward()
    gradients = arrays(parameter.grad for parameter in network.parameters())
    state = state_of(network)
    with torch.no_grad():
        evaluation = network.eval()(x)
    return Trace(arrays([training]), gradients, state, arrays([evaluation]))


# What runs in fastai's process


def fastai_network() -> nn.Module:
    """The published network: fastai's for three channels, whose first convolution becomes its mean over them."""
    from fastai.vision.models.xresnet import xresnet18 as fastai_xresnet18

    network = fastai_xresnet18(pretrained=False, n_out=CLASSES)
    stem = network[0][0]
    stem.in_channels = 1
    stem.weight = nn.Parameter(stem.weight.detach().mean(dim=1, keepdim=True))
    return network


def fastai_state(seed: int) -> Arrays:
    """The network as its constructor leaves it."""
    torch.manual_seed(seed)
    return state_of(fastai_network())


def fastai_init_cnn(seed: int) -> Arrays:
    """The state of the network for one channel after nothing but ``init_cnn`` has drawn from a generator."""
    from fastai.vision.models.xresnet import init_cnn
    from fastai.vision.models.xresnet import xresnet18 as fastai_xresnet18

    network = fastai_xresnet18(pretrained=False, n_out=CLASSES, c_in=1)
    torch.manual_seed(seed)
    init_cnn(network)
    return state_of(network)


def fastai_stems(channels: int, count: int) -> Arrays:
    """First convolutions of ``count`` networks; those without any stage, whose stems are no others."""
    from fastai.layers import ResBlock
    from fastai.vision.models.xresnet import XResNet

    torch.manual_seed(0)
    return arrays(XResNet(ResBlock, 1, [], c_in=channels)[0][0].weight for _ in range(count))


def fastai_trace(state: Arrays, clips: NDArray[np.float64], targets: NDArray[np.int64]) -> Trace:
    return trace(filled(fastai_network(), state), clips, targets)


def fastai_learner(network: nn.Module, data: Data, batch_size: int) -> Any:
    """The published ``Learner``, every setting left as it is, but for what float64 and one process need."""
    from fastai.callback import schedule  # noqa: F401  # gives the learner its fit_one_cycle
    from fastai.data.core import DataLoaders
    from fastai.learner import AvgLoss, Learner

    clips = list(zip(*map(torch.from_numpy, data), strict=True))
    loaders = DataLoaders.from_dsets(
        clips, clips[:3], bs=batch_size, shuffle=False, num_workers=0, device=torch.device("cpu")
    )
    # fastai's own loss, CrossEntropyLossFlat, makes float64 logits float32; a test below holds it against this one.
    learner = Learner(loaders, network, loss_func=nn.CrossEntropyLoss())
    # The recorder smooths the loss for display, in float32 alone; it may as well average it.
    learner.recorder.smooth_loss = AvgLoss()
    return learner


def fastai_fit_one_cycle(network: nn.Module, data: Data, batch_size: int, epochs: int) -> Fit:
    learner = fastai_learner(network, data, batch_size)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)
    used = learner.recorder.hps
    return Fit(state_of(network), [float(rate) for rate in used["lr"]], used["mom"])


def fastai_published_fit(state: Arrays, data: Data, epochs: int) -> Fit:
    return fastai_fit_one_cycle(filled(fastai_network(), state), data, CLIPS_A_BATCH, epochs)


def fastai_schedule(batches: int, epochs: int) -> Fit:
    """The whole schedule over a network of one layer."""
    data = np.zeros((2 * batches, 1)), np.zeros(2 * batches, dtype=np.int64)
    return fastai_fit_one_cycle(nn.Linear(1, 2).double(), data, 2, epochs)


def fastai_adam(state: Arrays, data: Data, steps: list[recipe.Step]) -> Arrays:
    """The ``Learner``'s optimiser under the very rates and momenta of ours."""
    network = filled(fastai_network(), state)
    learner = fastai_learner(network, data, CLIPS_A_BATCH)
    learner.create_opt()
    network.train()
    for (x, target), step in zip(batches_of(data, EPOCHS), steps, strict=True):
        learner.opt.set_hypers(lr=step.learning_rate, mom=step.momentum)
        F.cross_entropy(network(x), target).backward()
        learner.opt.step()
        learner.opt.zero_grad()
    return state_of(network)


def fastai_loss(logits: NDArray[np.float32], targets: NDArray[np.int64]) -> Arrays:
    """The loss that fastai takes for clips with categories, and its gradient."""
    from fastai.losses import CrossEntropyLossFlat

    x = torch.from_numpy(logits).requires_grad_()
    loss = CrossEntropyLossFlat()(x, torch.from_numpy(targets))
    loss.backward()
    return arrays([loss.as_subclass(Tensor), x.grad])


def fastai_optimizer() -> tuple[dict[str, Any], list[bool]]:
    """The hyper-parameters that the ``Learner`` starts with, and whether each parameter decays."""
    network = fastai_network()
    learner = fastai_learner(network, (np.zeros((4, 1)), np.zeros(4, dtype=np.int64)), 4)
    learner.create_opt()
    (hypers,) = learner.opt.hypers
    return dict(hypers), [learner.opt.state[parameter].get("do_wd", True) for parameter in network.parameters()]


def fastai_combined_cos(steps: int) -> list[tuple[float, float]]:
    """Rate and momentum a step, as ``fit_one_cycle`` composes them, at positions in float64.

    Given a Python number, as in training, ``combine_scheds`` goes on in float32.
    """
    from fastai.callback.schedule import combined_cos

    rate = combined_cos(0.25, PEAK / 25, PEAK, PEAK / 1e5)
    momentum = combined_cos(0.25, 0.95, 0.85, 0.95)
    positions = [torch.tensor(step / steps, dtype=torch.float64) for step in range(steps)]
    return [(rate(position), momentum(position)) for position in positions]


# What runs here


@pytest.fixture(scope="module")
def fastai() -> Iterator[Call]:
    """Calls a function of this file in fastai's process."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=torch.set_num_threads, initargs=(1,)) as process:
        yield lambda function, *arguments: process.submit(function, *arguments).result()


def ours(**options: Any) -> nn.Sequential:
    return xresnet18(CLASSES, generator=torch.Generator().manual_seed(0), **options)


@pytest.fixture(scope="module")
def eventful() -> Arrays:
    """Initial weights, but with normalisation that does something: else no residual path has any effect."""
    network = ours().double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
            if getattr(module, "bias", None) is not None:
                module.bias.normal_(0, 0.1, generator=generator)
    return state_of(network)


def noise(count: int, bins: int, frames: int) -> Data:
    generator = np.random.default_rng(0)
    return generator.standard_normal((count, 1, bins, frames)), generator.integers(0, CLASSES, count)


def batches_of(data: Data, epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole batches in order, every epoch again; clips that do not fill one are left out."""
    clips, targets = map(torch.from_numpy, data)
    for _ in range(epochs):
        for start in range(0, len(clips) - CLIPS_A_BATCH + 1, CLIPS_A_BATCH):
            yield clips[start : start + CLIPS_A_BATCH], targets[start : start + CLIPS_A_BATCH]


def train(
    state: Arrays, data: Data, steps: list[recipe.Step], adjust: Callable[[torch.optim.AdamW], None] = lambda _: None
) -> Arrays:
    network = filled(ours(), state).train()
    optimizer = recipe.optimizer(Model(nn.Identity(), network), DECAY)
    adjust(optimizer)
    for (x, target), step in zip(batches_of(data, EPOCHS), steps, strict=True):
        recipe.apply(step, to=optimizer)
        F.cross_entropy(network(x), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return state_of(network)


def difference(one: Arrays, other: Arrays, *, relative: bool = False) -> float:
    """The largest difference between elements of arrays in pairs; relative: as a share of its array's largest."""
    assert [values.shape for values in one] == [values.shape for values in other]
    scales = [np.abs(values).max() if relative else 1.0 for values in other]
    differences = [np.abs(a - b).max() / scale for a, b, scale in zip(one, other, scales, strict=True)]
    return float(np.max(differences))  # not a number if any is none


# The network


def test_same_tensors_in_the_same_order(fastai: Call) -> None:
    theirs = fastai(fastai_state, 0)
    network = ours()
    assert [values.shape for values in theirs] == [values.shape for values in state_of(network)]
    # 22 convolutions, as many normalisations of five tensors, and the classifier's two.
    assert len(theirs) == 22 + 22 * 5 + 2
    counts = [math.prod(values.shape) for values in theirs]
    buffers = sum(buffer.numel() for buffer in network.buffers())
    assert sum(counts) - buffers == sum(parameter.numel() for parameter in network.parameters()) == 11_220_818


@pytest.mark.parametrize(
    "shape",
    # Halved five times, rounding up: most sizes are odd on the way, where pooling whole windows would lose an edge.
    [(2, 201, 101), (3, 64, 63), (4, 33, 40), (5, 17, 9)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_same_weights_give_the_same_network(fastai: Call, eventful: Arrays, shape: tuple[int, int, int]) -> None:
    data = noise(*shape)
    theirs, found = fastai(fastai_trace, eventful, *data), trace(filled(ours(), eventful), *data)
    # Both come to the same kernels in the same order: 0 was seen. The faults below make 2e-3 and more.
    assert difference(found.training, theirs.training, relative=True) <= 1e-9
    assert difference(found.gradients, theirs.gradients, relative=True) <= 1e-9
    assert difference(found.state, theirs.state, relative=True) <= 1e-9
    assert difference(found.evaluation, theirs.evaluation, relative=True) <= 1e-9


@pytest.fixture(scope="module")
def small(fastai: Call, eventful: Arrays) -> Trace:
    """What fastai's network does with small odd clips."""
    return fastai(fastai_trace, eventful, *noise(4, 33, 40))


def each(kind: type[nn.Module], **attributes: Any) -> Callable[[nn.Module], None]:
    def change(network: nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, kind):
                for name, value in attributes.items():
                    assert getattr(module, name) != value
                    setattr(module, name, value)

    return change


def pool_last(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, ResidualBlock) and len(module.shortcut) == 2:
            module.shortcut = nn.Sequential(module.shortcut[1], module.shortcut[0])


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        (each(nn.AvgPool2d, divisor_override=4), "training gradients state evaluation"),  # edges as if padded
        (pool_last, "training gradients state evaluation"),
        (each(nn.BatchNorm2d, eps=1e-3), "training gradients state evaluation"),
        (each(nn.BatchNorm2d, momentum=0.01), "state evaluation"),
    ],
    ids=["edges", "pool last", "eps", "momentum"],
)
def test_a_network_that_is_slightly_another_is_told(
    small: Trace, eventful: Arrays, fault: Callable[[nn.Module], None], changes: str
) -> None:
    wrong = filled(ours(), eventful)
    fault(wrong)
    found = trace(wrong, *noise(4, 33, 40))
    for name in changes.split():
        assert difference(getattr(found, name), getattr(small, name), relative=True) > 1e-4, name


def test_without_ceil_mode_odd_sizes_do_not_even_pass() -> None:
    network = ours().double()
    each(nn.AvgPool2d, ceil_mode=False)(network)
    with pytest.raises(RuntimeError, match="size of tensor"):
        network(torch.from_numpy(noise(4, 33, 40)[0]))


# Initial weights


def test_the_same_random_numbers_give_the_same_initial_weights(fastai: Call) -> None:
    """Bit for bit, so that the distribution, the order and what is not random are one; the stem is that of ``he``."""
    theirs, he, published = fastai(fastai_init_cnn, 0), state_of(ours(stem_init="he")), state_of(ours())
    assert len(theirs) == len(he) == len(published)
    assert all(np.array_equal(one, other) for one, other in zip(he, theirs, strict=True))
    assert all(np.array_equal(one, other) for one, other in zip(published[1:], theirs[1:], strict=True))
    assert not np.array_equal(published[0], theirs[0])


def test_initial_weights_are_drawn_alike(fastai: Call) -> None:
    """Whatever else fastai's constructor draws before and after."""
    theirs = fastai(fastai_state, 1)
    names = list(ours().state_dict())
    drawn = 0
    for name, one, other in zip(names, state_of(ours()), theirs, strict=True):
        if one.ndim < 2:
            assert np.array_equal(one, other), name  # ones, zeros and counts
            continue
        drawn += 1
        # Deviations of n normal draws have a relative standard error of 1 / sqrt(2 n), their ratio sqrt(2) times that:
        # 1 / sqrt(n). Four of them: 24 % for the 288 weights of the stem, 0.3 % for the 2.4 million of the largest.
        assert other.std() / one.std() == pytest.approx(1, abs=4 / math.sqrt(one.size)), name
        # Kolmogorov and Smirnov: the whole distribution, not its width alone. Both seeds are fixed.
        assert scipy.stats.ks_2samp(one.ravel(), other.ravel(), method="asymp").pvalue > 1e-4, name
    assert drawn == 23
    zeroed = [name for name, values in zip(names, theirs, strict=True) if name.endswith("weight") and not values.any()]
    assert zeroed == [f"{block}.residual.1.1.weight" for block in range(4, 12)]
    assert all(not values.any() for name, values in zip(names, theirs, strict=True) if name.endswith("bias"))


@pytest.mark.parametrize(
    ("stem_init", "channels", "deviation"),
    [("published", 3, math.sqrt(2 / 27 / 3)), ("he", 1, math.sqrt(2 / 9))],  # 0.157, 0.471
)
def test_the_first_convolution_has_the_same_deviation(
    fastai: Call, stem_init: str, channels: int, deviation: float
) -> None:
    theirs = np.stack([stem.mean(axis=1) for stem in fastai(fastai_stems, channels, 50)])
    # 50 x 288 draws: a standard error of 1 / sqrt(2 n) = 0.6 %; four of them.
    assert theirs.std() == pytest.approx(deviation, rel=0.024)
    # 8 x 288 draws: 1.5 %; four of them.
    networks = [
        xresnet18(2, generator=torch.Generator().manual_seed(seed), stem_init=stem_init)  # type: ignore[arg-type]
        for seed in range(8)
    ]
    found = np.stack([state_of(network)[0][:, 0] for network in networks])
    assert found.std() == pytest.approx(deviation, rel=0.06)
    assert scipy.stats.ks_2samp(found.ravel(), theirs.ravel()).pvalue > 1e-4


# The optimiser


def test_the_loss_is_plain_cross_entropy(fastai: Call) -> None:
    logits, targets = noise(64, 1, CLASSES)
    x = torch.from_numpy(logits[:, 0, 0].astype(np.float32)).requires_grad_()
    loss = F.cross_entropy(x, torch.from_numpy(targets))
    loss.backward()
    theirs = fastai(fastai_loss, x.detach().numpy(), targets)
    assert difference(arrays([loss, x.grad]), theirs, relative=True) <= 1e-6  # float32


def test_the_learner_has_our_settings_and_decays_the_same_tensors(fastai: Call) -> None:
    hypers, decays = fastai(fastai_optimizer)
    network = ours()
    optimizer = recipe.optimizer(Model(nn.Identity(), network), DECAY)
    decay = {parameter: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    assert [decay[parameter] for parameter in network.parameters()] == [DECAY if decayed else 0.0 for decayed in decays]
    assert (sum(decays), len(decays)) == (23, 68)
    assert {group["eps"] for group in optimizer.param_groups} == {hypers["eps"]} == {1e-5}
    assert {group["betas"][1] for group in optimizer.param_groups} == {hypers["sqr_mom"]} == {0.99}
    settings = yaml.safe_load((ROOT / "conf" / "train" / "published.yaml").read_text())
    assert (settings["learning_rate"], settings["weight_decay"]) == (hypers["lr"], hypers["wd"]) == (PEAK, DECAY)


@pytest.fixture(scope="module")
def start() -> Arrays:
    """Initial weights of ours."""
    return state_of(ours().double())


@pytest.fixture(scope="module")
def data() -> Data:
    """An epoch's batches, and three clips more, which fastai leaves out."""
    return noise(BATCHES * CLIPS_A_BATCH + 3, 33, 40)


@pytest.fixture(scope="module")
def fit(fastai: Call, start: Arrays, data: Data) -> Fit:
    """Two epochs as published, by ``fit_one_cycle``."""
    return fastai(fastai_published_fit, start, data, EPOCHS)


@pytest.fixture(scope="module")
def trained(start: Arrays, data: Data) -> Arrays:
    """The same by ours."""
    return train(start, data, STEPS)


def test_ten_steps_of_adam(fastai: Call, start: Arrays, data: Data, trained: Arrays) -> None:
    theirs = fastai(fastai_adam, start, data, STEPS)
    assert difference(trained, theirs) <= 1e-8  # the same products in another order: 1e-15 was seen


def test_fit_one_cycle_ends_with_the_same_weights(fit: Fit, start: Arrays, data: Data, trained: Arrays) -> None:
    """Batches, loss, gradients, decay, moments, schedule, running statistics: a whole run of each."""
    used = [recipe.Step(*step) for step in zip(fit.learning_rates, fit.momenta, strict=True)]
    assert len(used) == EPOCHS * BATCHES
    assert difference(train(start, data, used), fit.state) <= 1e-8  # 3e-15 was seen
    # With rates of ours, which differ by fastai's rounding, see below: 1e-10 in a weight, 5e-9 in a running mean.
    assert difference(trained, fit.state) <= 1e-8


def decay_all(optimizer: torch.optim.AdamW) -> None:
    for group in optimizer.param_groups:
        group["weight_decay"] = DECAY


@pytest.mark.parametrize(
    ("steps", "adjust"),
    [
        ([step._replace(momentum=0.95) for step in STEPS], lambda _: None),
        ([recipe.one_cycle(step + 1, len(STEPS) + 1, PEAK) for step in range(len(STEPS))], lambda _: None),
        (STEPS, decay_all),
    ],
    ids=["momentum not scheduled", "a step early", "norms and biases decay"],
)
def test_a_slightly_different_optimiser_ends_elsewhere(
    fit: Fit, start: Arrays, data: Data, steps: list[recipe.Step], adjust: Callable[[torch.optim.AdamW], None]
) -> None:
    assert difference(train(start, data, steps, adjust), fit.state) > 1e-5  # a thousand times what is allowed above


# The schedule


@pytest.fixture(scope="module")
def published() -> list[recipe.Step]:
    return [recipe.one_cycle(step, PUBLISHED_STEPS, PEAK) for step in range(PUBLISHED_STEPS)]


def test_the_formula_at_every_step(fastai: Call, published: list[recipe.Step]) -> None:
    theirs = fastai(fastai_combined_cos, PUBLISHED_STEPS)
    rates, momenta = zip(*theirs, strict=True)
    np.testing.assert_allclose([step.learning_rate for step in published], rates, rtol=1e-12)
    np.testing.assert_allclose([step.momentum for step in published], momenta, rtol=1e-12)


def test_what_fit_one_cycle_used_at_every_step(fastai: Call, published: list[recipe.Step]) -> None:
    used = fastai(fastai_schedule, PUBLISHED_BATCHES, PUBLISHED_EPOCHS)
    # fastai rounds a step's position in the run to float32, by 2^-25 at most; its part of the fall is that over 3/4 and
    # rounded again, of the climb that over 1/4 where positions are finer: together 7/3 of 2^-25. A cosine's slope is at
    # most pi/2 of its range. That is 1e-10 of 1e-3 at the peak; of the last rates, 1e-5.
    part = 7 / 3 * 2**-25
    rates = np.array([step.learning_rate for step in published])
    np.testing.assert_allclose(rates, used.learning_rates, rtol=0, atol=math.pi / 2 * part * PEAK)
    np.testing.assert_allclose(
        [step.momentum for step in published], used.momenta, rtol=0, atol=math.pi / 2 * part * (0.95 - 0.85)
    )
    figures = {0: 4e-5, 1: 4.0152e-5, 124: 9.99848e-4, 125: 1e-3, 499: 2.7545e-8}
    for step, rate in figures.items():
        # Five digits or more are given: half a unit of the last one is at most 2e-5 of the value.
        assert used.learning_rates[step] == pytest.approx(rate, rel=2e-5)
        assert published[step].learning_rate == pytest.approx(rate, rel=2e-5)
    for step, momentum in {0: 0.95, 125: 0.85, 499: 0.9499982}.items():
        assert used.momenta[step] == pytest.approx(momentum, abs=1e-7)
        assert published[step].momentum == pytest.approx(momentum, abs=1e-7)


def test_torch_one_cycle_is_another_schedule(published: list[recipe.Step]) -> None:
    """Even with the same ends: its peak comes a step earlier and it reaches its end, which fastai never does."""
    optimizer = recipe.optimizer(Model(nn.Identity(), nn.Linear(1, 1)), DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=PEAK,
        total_steps=PUBLISHED_STEPS,
        pct_start=0.25,
        div_factor=25,
        final_div_factor=1e5 / 25,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    rates = []
    for _ in range(PUBLISHED_STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < PUBLISHED_STEPS:
            schedule.step()
    recipes = np.array([step.learning_rate for step in published])
    assert (int(np.argmax(rates)), int(np.argmax(recipes))) == (124, 125)
    assert rates[-1] == pytest.approx(PEAK / 1e5)
    assert recipes[-1] > 2.5 * rates[-1]
    assert np.abs(rates - recipes).max() > 5e-6
