"""One optimiser step: forward, losses, backward, and its figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from m3att.config import RunConfig, TrainConfig
from m3att.data.batch import Batch
from m3att.engine.checkpoint import Position
from m3att.engine.distributed import ALONE, Processes
from m3att.errors import DivergedError
from m3att.losses import Losses, attention_loss, category_loss, ranking_loss, total_loss
from m3att.model.network import M3AttNet, ModelOutput
from m3att.targets import Counts, covered, known_cells, mask_shares, mask_targets, ranked, rivals_of


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
    batches: Sequence[Batch],
    config: RunConfig,
    rate: float,
    processes: Processes = ALONE,
) -> tuple[Losses, Tensor]:
    """One optimiser step. Returns its losses and the gradient's norm before clipping (a scalar).

    Every loss is a mean over all micro-batches of all processes together. So losses and gradient are those of one
    process that has the whole batch at once, except that BatchNorm's statistics are those of each micro-batch.

    Where one of them is infinite or not a number, the weights and the optimiser stay as they were. So do the statistics
    of BatchNorm if the run may skip such a step.

    Args:
        forward: the network, or its compiled form, or what `Processes.wrap` made of it.
        network: holds the weights.
        optimizer: of that network.
        batches: the micro-batches of this process, on the device of the network.
        config: of the run.
        rate: learning rate of the step.
        processes: that take the step together; all of them have as many micro-batches.
    """
    settings = config.train
    before = [value.clone() for value in network.buffers()] if settings.bad_steps else []
    targets = [targets_of(batch, network, settings) for batch in batches]
    counts = Counts(*processes.summed(torch.stack([torch.stack(target.counts) for target in targets]).sum(dim=0)))
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
    optimizer.zero_grad(set_to_none=True)
    parts: list[tuple[bool, Losses, Tensor]] = []
    for number, (batch, target) in enumerate(zip(batches, targets, strict=True), start=1):
        with processes.micro_batch(forward, batch.counts, is_last=number == len(batches)):
            with torch.autocast(batch.pixels_BCHW.device.type, torch.bfloat16, settings.precision == "bfloat16"):
                output = forward(
                    batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL, reconstruct=True
                )
            losses = losses_of(output, batch, target, counts, settings)
            # Processes average their gradients, and these must add up. A stand-in has no part in them.
            (losses.total * (processes.count if batch.counts else 0)).backward()
        parts.append((batch.counts, losses, moments_of(output)))
    losses = added(parts, processes)
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip or float("inf"))
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    if fault_of(losses, norm) is None:
        optimizer.step()
    else:
        for value, kept in zip(network.buffers(), before, strict=False):
            value.copy_(kept)
    return losses, norm


class Targets(NamedTuple):
    """What the outputs of a batch are compared with.

    Args:
        masks_NHW: true masks at the size of the logits.
        boxed_N: whose mask is a filled box; None where all are outlines, as in most batches.
        attended_NHW: true masks at the grid of F_enc; None without attention loss.
        objects_MHW: the objects of all images, and
        rivals_NM: which of them are compared for each expression; both None without ranking loss.
        counts: how much of the batch each loss counts; zeros for a stand-in.
    """

    masks_NHW: Tensor
    boxed_N: Tensor | None
    attended_NHW: Tensor | None
    objects_MHW: Tensor | None
    rivals_NM: Tensor | None
    counts: Counts


def targets_of(batch: Batch, network: M3AttNet, settings: TrainConfig) -> Targets:
    """The targets of a batch, which its outputs are not needed for.

    Args:
        batch: on the device of the network.
        network: says how large its outputs are.
        settings: say which losses there are.
    """
    grid = network.vision.grid_of(batch.pixels_BCHW)
    # None where all are outlines: the losses then need no selection.
    boxed_N = batch.boxed_M[batch.mask_index_N] if batch.has_boxes else None
    none = torch.zeros((), device=batch.pixels_BCHW.device)
    attended_NHW, attended = None, none
    if settings.attention_weight:
        attended_NHW = mask_targets(batch.masks_MHW, batch.mask_index_N, grid.cells, grid.stride)
        if boxed_N is not None and settings.box_weight == 0:  # boxes are not to be learned from
            attended_NHW = attended_NHW.masked_fill(boxed_N[:, None, None], 0)
        attended = covered(attended_NHW).sum().float()
    rows, columns = (cells * 2**network.mask_decoder.upsamplings for cells in grid.cells)
    shares_MHW = mask_shares(batch.masks_MHW, (rows, columns), network.mask_stride)
    masks_NHW = shares_MHW.index_select(0, batch.mask_index_N)
    objects_MHW, rivals_NM, compared = None, None, none
    if settings.ranking_weight:
        objects_MHW, rivals_NM = shares_MHW, rivals_of(shares_MHW, batch.image_index_N, batch.mask_index_N)
        if settings.box_weight == 0:  # boxes are not to be learned from
            rivals_NM = rivals_NM & ~batch.boxed_M
        compared = ranked(rivals_NM, batch.mask_index_N).sum().float()
    expressions = none + len(masks_NHW)
    outlined, boxed, cells = expressions, none, none
    if boxed_N is not None:
        outlined, boxed = (~boxed_N).sum().float(), (boxed_N & covered(masks_NHW)).sum().float()
    if network.category_head is not None and batch.categories_BHW is not None:
        cells = known_cells(batch.categories_BHW, network.category_head.out_features, grid.stride)
    counts = Counts(expressions, outlined, boxed, attended, compared, cells)
    if not batch.counts:
        counts = Counts(*(none for _ in counts))
    return Targets(masks_NHW, boxed_N, attended_NHW, objects_MHW, rivals_NM, counts)


def losses_of(output: ModelOutput, batch: Batch, targets: Targets, counts: Counts, settings: TrainConfig) -> Losses:
    """The losses of a micro-batch, as its part in the means of the whole batch.

    Args:
        output: of the network.
        batch: that it is of.
        targets: of the same.
        counts: of the whole batch.
        settings: weights and kinds of the losses.
    """
    category = attention = ranking = None
    if output.category_logits_BPY is not None and batch.categories_BHW is not None:
        category = category_loss(output.category_logits_BPY, batch.categories_BHW, output.grid.stride, counts.cells)
    if targets.attended_NHW is not None and output.attention_NKLP and output.attending_NL is not None:
        attention = attention_loss(output.attention_NKLP, output.attending_NL, targets.attended_NHW, counts.attended)
    if targets.objects_MHW is not None and targets.rivals_NM is not None:
        logits_NHW = output.mask_logits_NHW.float()
        ranking = ranking_loss(logits_NHW, targets.objects_MHW, batch.mask_index_N, targets.rivals_NM, counts.ranked)
    return total_loss(
        output.mask_logits_NHW,
        output.reconstructed_NC,
        output.projected_NC,
        targets.masks_NHW,
        settings.mask_weight,
        settings.reconstruction_weight,
        settings.dice_weight,
        settings.mask_reduction,
        category,
        settings.category_weight,
        attention,
        settings.attention_weight,
        ranking,
        settings.ranking_weight,
        targets.boxed_N,
        settings.box_weight,
        settings.focal_gamma,
        counts,
    )


def moments_of(output: ModelOutput) -> Tensor:
    """Number, sum and sum of squares of each channel of F_proj: (3, C) float64 on the CPU; C = 0 without LFR."""
    if output.projected_NC is None:
        return torch.zeros(3, 0, dtype=torch.float64)
    values_NC = output.projected_NC.detach().cpu().double()
    return torch.stack([torch.ones_like(values_NC).sum(dim=0), values_NC.sum(dim=0), values_NC.square().sum(dim=0)])


def added(parts: Sequence[tuple[bool, Losses, Tensor]], processes: Processes) -> Losses:
    """The losses of the whole batch.

    Args:
        parts: of each micro-batch of this process whether it counts, its losses, and its `moments_of`.
        processes: that take the step together.
    """
    if processes.count == len(parts) == 1:
        return parts[0][1]
    names = list(Losses.__dataclass_fields__)
    values = torch.stack(
        [
            counts * torch.cat([torch.stack(list(vars(losses).values())).detach().cpu().double(), moments.flatten()])
            for counts, losses, moments in parts
        ]
    )
    sums = processes.summed(values.sum(dim=0))
    found = dict(zip(names, sums, strict=False))
    number, total, squares = sums[len(names) :].view(3, -1)
    if len(number):
        found["target_spread"] = (squares / number - (total / number).square()).clamp(min=0).sqrt().mean()
    return Losses(**found)


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
