"""Optimiser and learning-rate schedule of a TrainConfig."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from m3att.config import TrainConfig
from m3att.engine.muon import MuonAdamW, packed_matrices
from m3att.model.layers import layers_behind

POLYNOMIAL_POWER = 0.9  # LAVT's, and that of DeepLab before it
STEP_DECAY_AT = (0.8, 0.9)  # epochs 40 and 45 of the paper's 50
UNDECAYED = ("bias", "position", "token")  # in the names of weights, whatever their shape
MUON_SHARE = 1.6  # times AdamW's learning rate; 0.2 and 4 learned more slowly
MUON_SIDE = 16  # smaller matrices, such as those for pixels and masks, use AdamW


def build_optimizer(
    network: nn.Module, config: TrainConfig, pretrained: Sequence[nn.Module] = ()
) -> torch.optim.Optimizer:
    """Adam, AdamW, or Muon beside AdamW over weights that want a gradient.

    Weight decay applies to matrices and kernels, never to norms, biases, positions and word vectors. ``share`` of a
    group is its learning rate relative to the others. Muon updates the matrices and kernels with weight decay, except
    for pretrained ones and the smallest. A category head with enough classes is among them.

    Args:
        network: its weights.
        config: kind, decay and rates.
        pretrained: parts of the network that learn at ``pretrained_rate``, and their layers by ``layer_decay``.
    """
    slow = {
        weight: config.pretrained_rate * config.layer_decay**behind
        for part in pretrained
        for weight, behind in layers_behind(part).items()
    }
    # Of everything else first, then of the pretrained parts, whose last layer comes first.
    shares = [None, *sorted(set(slow.values()), reverse=True)]
    groups: dict[float | None, tuple[list[nn.Parameter], list[nn.Parameter]]] = {share: ([], []) for share in shares}
    packed: dict[int, list[nn.Parameter]] = {}
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if not weight.requires_grad:
                continue
            # Swin's tables of biases and the positions of a ViT have several axes but are not kernels.
            plain = weight.ndim < 2 or any(word in name for word in UNDECAYED) or isinstance(module, nn.Embedding)
            pieces = packed_matrices(module, weight)
            fits = not plain and min(len(weight) // pieces, weight.shape[1]) >= MUON_SIDE
            if config.optimizer == "muon" and fits and id(weight) not in slow:
                packed.setdefault(pieces, []).append(weight)
            else:
                groups[slow.get(id(weight))][plain].append(weight)
    rate = config.learning_rate
    options: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": decay, "lr": rate * share, "share": share}
        for key, share in ((key, 1.0 if key is None else key) for key in shares)
        for weights, decay in zip(groups[key], (config.weight_decay, 0.0), strict=True)
        if weights or key is None
    ]
    if config.optimizer == "muon":
        muon = {"weight_decay": config.weight_decay, "lr": rate * MUON_SHARE, "share": MUON_SHARE}
        options += [{"params": weights, "pieces": pieces, **muon} for pieces, weights in packed.items()]
        return MuonAdamW(options, lr=rate)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(options, lr=rate, fused=True)


def numbers_kept(optimizer: torch.optim.Optimizer) -> int:
    """How many numbers an optimiser's state holds: two a weight, as Adam and AdamW keep, or Muon's one."""
    return sum(
        weight.numel() * (1 if "pieces" in group else 2)
        for group in optimizer.param_groups
        for weight in group["params"]
    )


def learning_rate_at(step: int, steps: int, config: TrainConfig) -> float:
    """The learning rate of step ``step`` (from 0) out of ``steps``: a linear rise, then the schedule.

    With restarts, each leg between two of them has a complete schedule.

    Args:
        step: from 0.
        steps: of the whole run.
        config: rate, schedule, warm-up and restarts.
    """
    ends = [*(at for at in config.restarts if at < steps), steps]
    begun = max((at for at in ends[:-1] if at <= step), default=0)
    step, steps = step - begun, min((at for at in ends if at > step), default=steps) - begun
    if step < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup + 1)
    progress = (step - config.warmup) / max(1, steps - config.warmup)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "polynomial":
        return float(config.learning_rate * (1 - progress) ** POLYNOMIAL_POWER)
    if config.schedule == "trapezoid":
        return config.learning_rate * min(1.0, (steps - step) / (config.fall * steps))
    if config.schedule == "step":
        return config.learning_rate * 0.1 ** sum(step >= at * steps for at in STEP_DECAY_AT)
    return config.learning_rate
