"""Trains a network as a RunConfig says; survives being killed at any moment."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from m3att.config import RunConfig
from m3att.data.batch import Batch, BatchReader
from m3att.data.open import ENDLESS, open_training
from m3att.data.order import EndlessOrder, Group, TrainingOrder
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.device import choose_device
from m3att.engine.checkpoint import CHECKPOINT, Position, load_checkpoint, save_checkpoint
from m3att.engine.evaluate import evaluate
from m3att.engine.faults import RunFaults
from m3att.engine.optim import build_optimizer, learning_rate_at
from m3att.engine.setup import (
    METRICS,
    count_categories,
    run_architectures,
    run_tokenizer,
    start_folder,
    start_from,
)
from m3att.errors import ConfigError, DataError, DivergedError
from m3att.files import replace_file
from m3att.losses import Losses, attention_loss, category_loss, mask_targets, total_loss
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.pretrained import save_model
from m3att.weights.start import fill_pretrained, pretrained_parts, require_weights

Report = Callable[[int, int, dict[str, float]], None]  # step, steps, the newest figures


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Denormal numbers count as zero here, on a CPU that can.

    Moments of units that never fire shrink to them, and a CPU reckons many times slower with them: Muon's part of a
    step took 0.15 s where it takes 0.04. PyTorch's threads take the mode over where they start: this comes before them.
    """
    before = (torch.tensor([1e-39]) * 0.5).item() == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@flushed_denormals()
def train(config: RunConfig, out: Path, resume: bool = False, report: Report | None = None) -> Path:
    """Train, validate and save.

    The run folder holds ``config.yaml``, ``tokenizer.json``, ``metrics.jsonl``, ``faults.jsonl`` where anything of the
    data could not be read, ``tensorboard/``, the checkpoint, and two model folders: ``best`` by validated mean IoU, and
    ``last``.

    Args:
        config: the run.
        out: run folder.
        resume: go on from the folder's checkpoint, with the very batch that would have come next.
        report: called after each step.

    Returns:
        The folder of the last model.

    Raises:
        ConfigError: where the folder holds another run, or the settings do not fit each other.
        DataError: where the data are missing, or more than ``data.fault_limit`` of them cannot be read.
        DivergedError: where the loss stops being a number.
        ModelError: where the checkpoint does not fit.
    """
    if not resume and (out / CHECKPOINT).exists():
        raise ConfigError(f"{out} holds a run already: add --resume to go on with it, or name another --out")
    settings = config.train
    if settings.init is None and not resume:
        require_weights(config.model)  # at once: data may take a while to open
    device = choose_device(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    cv2.setNumThreads(0)  # before OpenCV starts threads of its own: a reading process forked after that would hang
    source, validation = open_training(config.data, settings.validate_images)
    world = source.world
    source.prepare()
    tokenizer = run_tokenizer(config, source, out, resume)
    categories = count_categories(config, source)
    architectures = run_architectures(config, tokenizer, out, resume)
    network = build_network(config.model, config.input.size, tokenizer.size, categories, architectures)
    if settings.init is not None and not resume:
        start_from(network, settings.init, settings.fresh)
    elif not resume:
        fill_pretrained(network, tokenizer, config.model)
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(network, settings, pretrained_parts(network, config.model))
    position = load_checkpoint(out, network, optimizer) if resume else Position()
    if resume:
        drop_later_lines(out / METRICS, position.step)
    else:
        start_folder(out, config, tokenizer, network)
    faults = RunFaults(out, config.data.fault_limit)
    faults.note(source.faults)
    steps = count_steps(config, source)
    forward: Callable[..., Any] = torch.compile(network, dynamic=True) if settings.compile else network
    begun = time.monotonic() - position.seconds
    network.train()
    with SummaryWriter(str(out / "tensorboard"), purge_step=position.step + 1) as board:
        for batch, following in batches(config, source, tokenizer, position, steps, faults):
            rate = learning_rate_at(position.step, steps, settings)
            losses, norm = train_step(forward, network, optimizer, batch.to(device), config, rate)
            position = replace(
                position,
                step=position.step + 1,
                epoch=following[0],
                batch=following[1],
                seconds=time.monotonic() - begun,
                expressions=position.expressions + len(batch.mask_index_N),
            )
            ends = position.step == steps
            logs, validates, saves = (
                ends or position.step % every == 0
                for every in (settings.log_every, settings.validate_every, settings.save_every)
            )
            figures: dict[str, float] = {}
            if logs or validates or saves:  # what is no number is never saved
                require_finite(losses, norm, position.step)
            if logs:
                figures = step_figures(losses, norm, rate, position)
            if validates:
                data = replace(config.data, images=settings.validate_images)
                scores = evaluate(network, tokenizer, validation, config.input, config.evaluate, data, 0, device)
                found = scores.to_dict()
                figures |= {"val/mean_iou": found["mean_iou"], "val/overall_iou": found["overall_iou"]}
                figures |= {f"val/precision_{at}": value for at, value in found["precision"].items()}
                if scores.mean_iou > position.best_mean_iou:
                    position = replace(position, best_mean_iou=scores.mean_iou)
                    save_model(out / "best", network, tokenizer, config, world)
                save_model(out / "last", network, tokenizer, config, world)
            if figures:
                log(out, board, position, figures)
            if saves:
                save_checkpoint(out, network, optimizer, position)
            if validates:
                faults.note(scores.left_out)
            if report is not None:
                report(position.step, steps, figures)
    return out / "last"


def train_step(
    forward: Callable[..., Any],
    network: M3AttNet,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: RunConfig,
    rate: float,
) -> tuple[Losses, Tensor]:
    """One optimiser step on one batch. Returns its losses and the gradient's norm before clipping (a scalar)."""
    settings = config.train
    with torch.autocast(batch.pixels_BCHW.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        output = forward(
            batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL, reconstruct=True
        )
    size = (output.mask_logits_NHW.shape[1], output.mask_logits_NHW.shape[2])
    category = None
    if output.category_logits_BPK is not None and batch.categories_BHW is not None:
        side = math.isqrt(output.category_logits_BPK.shape[1])  # the input is a square, and so is its grid
        category = category_loss(output.category_logits_BPK, batch.categories_BHW, (side, side))
    attention = None
    if settings.attention_weight and output.attention_NKLP and output.attending_NL is not None:
        side = math.isqrt(output.attention_NKLP[0].shape[3])
        shares_NHW = mask_targets(batch.masks_MHW, batch.mask_index_N, (side, side))
        attention = attention_loss(output.attention_NKLP, output.attending_NL, shares_NHW)
    losses = total_loss(
        output.mask_logits_NHW,
        output.reconstructed_NC,
        output.projected_NC,
        mask_targets(batch.masks_MHW, batch.mask_index_N, size),
        settings.mask_weight,
        settings.reconstruction_weight,
        settings.dice_weight,
        settings.mask_reduction,
        category,
        settings.category_weight,
        attention,
        settings.attention_weight,
    )
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip or float("inf"))
    optimizer.step()
    return losses, norm


def batches(
    config: RunConfig,
    source: Source,
    tokenizer: Tokenizer,
    position: Position,
    steps: int,
    faults: RunFaults,
) -> Iterator[tuple[Batch, tuple[int, int]]]:
    """The batches from a position to the last step, each with the (epoch, batch) that follows it.

    A batch of which nothing can be read is no step: it is passed over, and would be again when the run goes on.

    Raises:
        DataError: where nothing of an epoch can be read, or faults are more than the run allows.
    """
    settings, data = config.train, config.data
    step, epoch, start = position.step, position.epoch, position.batch
    while step < steps:
        inputs, stop = config.input, steps
        for size, until in zip(settings.early_sizes, settings.early_steps, strict=True):
            if step < until:
                inputs, stop = replace(inputs, size=size), min(steps, until)
                break
        drawn = source.at_epoch(epoch)
        order: list[list[Group]] | EndlessOrder
        if len(source) >= ENDLESS:
            # One batch a step, and no last one: a run that is lengthened goes on with images that it has not seen.
            start, length = step, ENDLESS
            order = EndlessOrder(settings.batch_size, data.per_image if data.grouped else 1, step, stop, settings.seed)
        else:
            whole = list(TrainingOrder(source, settings.batch_size, data, settings.seed, epoch))
            length, order = len(whole), whole[start : start + stop - step]
        loader: DataLoader[Batch] = DataLoader(
            BatchReader(drawn, tokenizer, inputs, data, training=True, categories=settings.category_weight > 0),
            sampler=order,
            batch_size=None,
            num_workers=settings.workers,
            prefetch_factor=4 if settings.workers else None,
            worker_init_fn=quiet_worker,
            # Its own, so that making a loader, as each epoch and each --resume does, shifts no dropout.
            generator=torch.Generator(),
        )
        begun, first = step, start
        for number, batch in enumerate(loader, start=start + 1):
            faults.note(batch.faults)
            following = (epoch, number) if number < length else (epoch + 1, 0)
            if batch.groups:
                step += 1
                yield batch, following
        if step == begun and first == 0 and following[1] == 0:
            raise DataError(f"no image of the training split can be read; {faults.path} names the faults")
        epoch, start = following


def quiet_worker(_: int) -> None:
    """A reading process takes one core, and leaves the others to the network."""
    torch.set_num_threads(1)


def count_steps(config: RunConfig, source: Source) -> int:
    """Optimiser steps of the run.

    Raises:
        ConfigError: where data without end are given no number of steps.
    """
    settings = config.train
    if settings.steps is not None:
        return settings.steps
    if len(source) >= ENDLESS:
        raise ConfigError("data that are drawn on the fly have no epochs: give --train.steps")
    first = TrainingOrder(source, settings.batch_size, config.data, settings.seed, 0)
    return max(1, round(settings.epochs * len(first)))


def drop_later_lines(path: Path, step: int) -> None:
    """Drop what a run logged after its checkpoint, the torn last line of a killed one too; it will be logged anew."""
    kept: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else ():
        try:
            if json.loads(line)["step"] > step:
                break
        except ValueError:
            break
        kept.append(line)
    replace_file(path, "".join(kept).encode())


def require_finite(losses: Losses, norm: Tensor, step: int) -> None:
    """Stop a training that has run away.

    Raises:
        DivergedError: where the loss or the gradient is infinite or no number.
    """
    for name, value in (("loss", float(losses.total.detach())), ("gradient", float(norm))):
        if not math.isfinite(value):
            raise DivergedError(f"the {name} is {value} at step {step}: lower --train.learning_rate")


def step_figures(losses: Losses, norm: Tensor, rate: float, position: Position) -> dict[str, float]:
    """What a step says of itself."""
    parts = {f"loss/{name}": float(value.detach()) for name, value in vars(losses).items()}
    pace = position.expressions / max(position.seconds, 1e-9)
    return {**parts, "gradient_norm": float(norm), "learning_rate": rate, "expressions_per_second": pace}


def log(out: Path, board: SummaryWriter, position: Position, figures: dict[str, float]) -> None:
    """One line of metrics.jsonl, and the same on TensorBoard."""
    line = {"step": position.step, "expressions": position.expressions, "seconds": round(position.seconds, 1)} | figures
    with (out / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    for name, value in figures.items():
        board.add_scalar(name, value, position.step)
