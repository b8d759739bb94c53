"""A training that is tried out and leaves nothing behind: one batch learned by heart, or a range of learning rates.

Nothing is written, and the weights are thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from m3att.config import RunConfig
from m3att.data.batch import Batch, BatchReader
from m3att.data.open import open_trained_on
from m3att.data.order import divide
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.engine.batches import batches
from m3att.engine.checkpoint import Position
from m3att.engine.dry_run import first_groups
from m3att.engine.faults import RunFaults
from m3att.engine.origin import named_start, preset_before
from m3att.engine.start import start_optimizer, start_process, start_run
from m3att.engine.step import fault_of, flushed_denormals, train_step
from m3att.errors import ConfigError, DataError, DivergedError
from m3att.losses import mask_loss
from m3att.model.network import M3AttNet
from m3att.targets import mask_targets
from m3att.weights.start import require_weights

LEARNED = 0.05  # share of the first loss, both above their floor, under which a batch counts as learned
LOWEST, HIGHEST = 1e-6, 1.0  # learning rates of a range test; its end is nearly always given by the loss
SMOOTHING = 0.9  # share of the average of the losses that a step keeps
TOO_HIGH = 4.0  # times the lowest smoothed loss: there a range test ends
SETTLING = 0.1  # share of a range test's steps that are not looked at, as their average is of few losses

Progress = Callable[[int, int], None]  # steps done, of how many


@dataclass(frozen=True)
class Rehearsal:
    """What a training starts with, without its folder.

    Args:
        config: of the run.
        source: the training split.
        tokenizer: its words.
        network: with its first weights, in training mode.
        optimizer: of the network.
        device: of the network.
        forward: the network, or its compiled form.
    """

    config: RunConfig
    source: Source
    tokenizer: Tokenizer
    network: M3AttNet
    optimizer: torch.optim.Optimizer
    device: torch.device
    forward: Callable[..., Any]

    def step(self, batches: Sequence[Batch], rate: float) -> dict[str, float] | None:
        """One optimiser step; its losses, or None where one of them or the gradient is no finite number.

        Args:
            batches: the micro-batches, on the device.
            rate: learning rate of the step.
        """
        losses, norm = train_step(self.forward, self.network, self.optimizer, batches, self.config, rate)
        if fault_of(losses, norm) is not None:
            return None
        return {name: float(value.detach()) for name, value in vars(losses).items()}


def start_rehearsal(config: RunConfig) -> Rehearsal:
    """Make what a new run of these settings would start with.

    Raises:
        ConfigError: where the settings do not fit the data, or another run comes before this one.
        DataError: where the data are missing.
        ModelError: where a model or weights are missing.
    """
    if (earlier := preset_before(config.train)) is not None:
        raise ConfigError(
            f"train.init: the run of preset {earlier} comes before this one: train it, and give its model, "
            "or --train.init null for fresh weights"
        )
    config = named_start(config)
    require_weights(config.model)
    device = start_process(config.train)
    source = open_trained_on(config.data)
    source.prepare()
    start = start_run(config, source)
    optimizer = start_optimizer(start.network, config, device)
    start.network.train()
    forward = torch.compile(start.network, dynamic=True) if config.train.compile else start.network
    return Rehearsal(config, source, start.tokenizer, start.network, optimizer, device, forward)


@dataclass(frozen=True)
class Learned:
    """How well one batch was learned by heart.

    Args:
        images: of the batch.
        expressions: of the batch.
        losses: of each step: its parts by name, and ``floor``, the least that the loss of the masks can be.
        ended: why it ended before the last step, or an empty text.
    """

    images: int
    expressions: int
    losses: Sequence[dict[str, float]]
    ended: str = ""

    @property
    def left(self) -> float:
        """Share of the first loss that is left at the end, both above their floor; the least of the steps."""
        above = [one["mask"] + one["box"] - one["floor"] for one in self.losses]
        return min(above) / max(above[0], 1e-9)

    @property
    def learned(self) -> bool:
        """Whether the loss fell to nearly its floor."""
        return not self.ended and self.left < LEARNED

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        own = {"images": self.images, "expressions": self.expressions, "learned": self.learned, "left": self.left}
        return {**own, "steps": len(self.losses), "ended": self.ended, "losses": list(self.losses)}


@flushed_denormals()
def overfit_one_batch(config: RunConfig, steps: int, progress: Progress = lambda done, steps: None) -> Learned:
    """Train on the first batch of a run again and again, until its loss is nearly as small as it can be.

    With micro-batches it is the first of them. Dropout is off. The learning rate rises over a tenth of the steps at
    most, and then stays.

    Args:
        config: of the run.
        steps: at most.
        progress: called after each step.

    Raises:
        M3AttError: for whatever the run itself would be refused for.
    """
    config = without_dropout(config)
    start = start_rehearsal(config)
    settings = config.train
    reader = BatchReader(
        start.source, start.tokenizer, config.input, config.data, True, categories=settings.category_weight > 0
    )
    batch = reader[divide(first_groups(start.source, config, settings.batch_size), settings.accumulate)[0]]
    if not batch.groups:
        raise DataError(f"nothing in the first batch can be read: {batch.faults[0].reason}")
    batch = batch.to(start.device)
    floor, warmup = loss_floor(start.network, batch, config), min(settings.warmup, steps // 10)
    images, expressions = len(batch.pixels_BCHW), len(batch.mask_index_N)
    losses: list[dict[str, float]] = []
    for step in range(steps):
        found = start.step([batch], settings.learning_rate * min(1.0, (step + 1) / (warmup + 1)))
        if found is None:
            if not losses:
                raise DivergedError("the loss or the gradient of the first step is no finite number")
            return Learned(images, expressions, losses, f"the loss or the gradient of step {step + 1} is no number")
        losses.append({**found, "floor": floor})
        progress(step + 1, steps)
        if Learned(images, expressions, losses).learned:
            break
    return Learned(images, expressions, losses)


def without_dropout(config: RunConfig) -> RunConfig:
    """The same run without dropout of its own layers and of words."""
    model = config.model
    decoder, language = replace(model.decoder, dropout=0.0), replace(model.language, word_dropout=0.0)
    return replace(config, model=replace(model, decoder=decoder, language=language))


def loss_floor(network: M3AttNet, batch: Batch, config: RunConfig) -> float:
    """The mask loss of a network that is exactly right: above zero, as cells at outlines are only partly covered.

    Args:
        network: says the size of the masks; its state stays.
        batch: on the device of the network.
        config: of the run.
    """
    settings = config.train
    network.eval()
    with torch.inference_mode():
        output = network(batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL)
    network.train()
    size = (output.mask_logits_NHW.shape[1], output.mask_logits_NHW.shape[2])
    targets_NHW: Tensor = mask_targets(batch.masks_MHW, batch.mask_index_N, size, output.mask_stride)
    counted_N = ~batch.boxed_M[batch.mask_index_N] if batch.has_boxes else None
    right_NHW = torch.logit(targets_NHW, eps=1e-6)
    return float(mask_loss(right_NHW, targets_NHW, settings.mask_reduction, counted_N, settings.focal_gamma))


@dataclass(frozen=True)
class RateRange:
    """What a range test of learning rates found.

    Args:
        rates: of the steps, rising.
        losses: the total loss of each step.
        smoothed: their exponential average, corrected for its start.
        ended: why it ended before the highest rate, or an empty text.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    ended: str = ""

    @property
    def steepest(self) -> float | None:
        """The rate at which the loss falls most steeply over the logarithm of the rate; None where it never falls."""
        first = max(1, int(SETTLING * len(self.rates)))
        slopes = {
            at: (self.smoothed[at + 1] - self.smoothed[at - 1]) / math.log(self.rates[at + 1] / self.rates[at - 1])
            for at in range(first, len(self.rates) - 1)
        }
        best = min(slopes, key=lambda at: slopes[at], default=None)
        return None if best is None or slopes[best] >= 0 else self.rates[best]

    @property
    def lowest(self) -> float:
        """The rate at which the loss is lowest."""
        return self.rates[min(range(len(self.rates)), key=lambda at: self.smoothed[at])]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        found = {"suggestion": self.steepest, "lowest_loss_at": self.lowest, "ended": self.ended}
        return {
            **found,
            "rates": list(self.rates),
            "losses": list(self.losses),
            "smoothed": list(self.smoothed),
        }


@flushed_denormals()
def find_rate(config: RunConfig, steps: int, progress: Progress = lambda done, steps: None) -> RateRange:
    """Train with a learning rate that rises from step to step, and watch the loss (Smith, WACV 2017).

    The rate rises by the same factor in each step. The test ends early where the loss is far above its lowest.

    Args:
        config: of the run; its own rate and schedule are not used.
        steps: from LOWEST to HIGHEST.
        progress: called after each step.

    Raises:
        M3AttError: for whatever the run itself would be refused for.
    """
    start = start_rehearsal(config)
    config = replace(config, train=replace(config.train, early_sizes=(), early_steps=()))
    faults = RunFaults(None, config.data.fault_limit)
    rates, losses = [], []
    ended = ""
    for step, drawn in enumerate(batches(config, start.source, start.tokenizer, Position(), steps, faults)):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(1, steps - 1))
        found = start.step([part.to(start.device) for part in drawn.parts], rate)
        if found is None:
            ended = f"at {rate:.2g} the loss or the gradient is no number"
            break
        rates.append(rate)
        losses.append(found["total"])
        progress(step + 1, steps)
        smoothed = list(averages(losses))
        if step >= SETTLING * steps and smoothed[-1] > TOO_HIGH * min(smoothed):
            ended = f"at {rate:.2g} the loss is {TOO_HIGH:g} times the lowest"
            break
    if not losses:
        raise DivergedError("the loss or the gradient of the first step is no finite number")
    return RateRange(rates, losses, list(averages(losses)), ended)


def averages(losses: Sequence[float]) -> Iterator[float]:
    """The exponential average after each loss, divided by the weight that the losses have in it so far."""
    average = 0.0
    for number, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        yield average / (1 - SMOOTHING**number)
