"""One optimiser step: forward, losses, backward, and its figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from m3att.config import RunConfig
from m3att.data.batch import Batch
from m3att.engine.checkpoint import Position
from m3att.errors import DivergedError
from m3att.losses import Losses, attention_loss, category_loss, mask_targets, total_loss
from m3att.model.network import M3AttNet


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Let the CPU treat denormal numbers as zero, if it can.

    Moments of inactive units shrink to denormal numbers, with which a CPU is many times slower: Muon's part of a step
    took 0.15 s instead of 0.04. PyTorch's threads copy this mode when they start, so it must be set before.
    """
    before = (torch.tensor([1e-39]) * 0.5).item() == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def train_step(
    forward: Callable[..., Any],
    network: M3AttNet,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: RunConfig,
    rate: float,
) -> tuple[Losses, Tensor]:
    """One optimiser step on one batch. Returns its losses and the gradient's norm before clipping (a scalar).

    Where one of them is infinite or not a number, the weights and the optimiser stay as they were. So do the statistics
    of BatchNorm if the run may skip such a step.

    Args:
        forward: the network, or its compiled form.
        network: holds the weights.
        optimizer: of that network.
        batch: on the device of the network.
        config: of the run.
        rate: learning rate of the step.
    """
    settings = config.train
    before = [value.clone() for value in network.buffers()] if settings.bad_steps else []
    with torch.autocast(batch.pixels_BCHW.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        output = forward(
            batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL, reconstruct=True
        )
    size = (output.mask_logits_NHW.shape[1], output.mask_logits_NHW.shape[2])
    category = None
    if output.category_logits_BPY is not None and batch.categories_BHW is not None:
        category = category_loss(output.category_logits_BPY, batch.categories_BHW, output.grid.stride)
    # None where all are outlines, as most batches are: the losses then need no selection.
    boxed_N = batch.boxed_M[batch.mask_index_N] if batch.has_boxes else None
    attention = None
    if settings.attention_weight and output.attention_NKLP and output.attending_NL is not None:
        shares_NHW = mask_targets(batch.masks_MHW, batch.mask_index_N, output.grid.cells, output.grid.stride)
        if boxed_N is not None and settings.box_weight == 0:  # boxes are not to be learned from
            shares_NHW = shares_NHW.masked_fill(boxed_N[:, None, None], 0)
        attention = attention_loss(output.attention_NKLP, output.attending_NL, shares_NHW)
    losses = total_loss(
        output.mask_logits_NHW,
        output.reconstructed_NC,
        output.projected_NC,
        mask_targets(batch.masks_MHW, batch.mask_index_N, size, output.mask_stride),
        settings.mask_weight,
        settings.reconstruction_weight,
        settings.dice_weight,
        settings.mask_reduction,
        category,
        settings.category_weight,
        attention,
        settings.attention_weight,
        boxed_N,
        settings.box_weight,
        settings.focal_gamma,
    )
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip or float("inf"))
    if fault_of(losses, norm) is None:
        optimizer.step()
    else:
        for value, kept in zip(network.buffers(), before, strict=False):
            value.copy_(kept)
    return losses, norm


def fault_of(losses: Losses, norm: Tensor) -> str | None:
    """What is infinite or not a number in a step, in a few words; None where nothing is.

    Args:
        losses: of the step.
        norm: of its gradient, a scalar.
    """
    for name, value in (("loss", float(losses.total.detach())), ("gradient", float(norm))):
        if not math.isfinite(value):
            return f"the {name} is {value}"
    return None


def require_finite(network: M3AttNet, step: int) -> None:
    """Check weights before they are saved.

    Args:
        network: holds them.
        step: the last that changed them.

    Raises:
        DivergedError: where one of them is infinite or not a number.
    """
    for name, value in network.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise DivergedError(f"the weight {name} is no finite number after step {step}: lower --train.learning_rate")


def step_figures(losses: Losses, norm: Tensor, rate: float, position: Position) -> dict[str, float]:
    """The figures of a step.

    Args:
        losses: of a step.
        norm: of its gradient, a scalar.
        rate: learning rate of the step.
        position: where the run stands.
    """
    parts = {f"loss/{name}": float(value.detach()) for name, value in vars(losses).items()}
    pace = position.expressions / max(position.seconds, 1e-9)
    return {**parts, "gradient_norm": float(norm), "learning_rate": rate, "expressions_per_second": pace}
