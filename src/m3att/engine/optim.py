"""Optimiser and learning-rate schedule of a TrainConfig."""

from __future__ import annotations

import math

import torch
from torch import nn

from m3att.config import TrainConfig

STEP_DECAY_AT = (0.8, 0.9)  # epochs 40 and 45 of the paper's 50
TRAPEZOID_FALL = 0.3  # share of the steps over which a trapezoid falls


def build_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam or AdamW; weight decay touches matrices and kernels only, never norms, biases and word vectors."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight.requires_grad:
                plain = weight.ndim < 2 or name.startswith("bias") or isinstance(module, nn.Embedding)
                (free if plain else decayed).append(weight)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": free, "weight_decay": 0.0}]
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.learning_rate, fused=True)


def learning_rate_at(step: int, steps: int, config: TrainConfig) -> float:
    """The learning rate of step ``step`` (from 0) out of ``steps``: a linear rise, then the schedule."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup + 1)
    if config.schedule == "cosine":
        progress = (step - config.warmup) / max(1, steps - config.warmup)
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "trapezoid":
        return config.learning_rate * min(1.0, (steps - step) / (TRAPEZOID_FALL * steps))
    if config.schedule == "step":
        return config.learning_rate * 0.1 ** sum(step >= at * steps for at in STEP_DECAY_AT)
    return config.learning_rate
