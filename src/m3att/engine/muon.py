"""Muon for matrices and kernels beside AdamW for everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's, of Newton-Schulz: five steps bring 0.01 and more to 0.7 to 1.2
ITERATIONS = 5
TINY = 1e-7


class MuonAdamW(torch.optim.AdamW):
    """AdamW, in which the groups that have ``pieces`` step by Muon instead.

    Muon reads the momentum of a weight as a matrix and steps along the nearest orthogonal matrix, so that all
    directions of the matrix learn equally fast (Jordan et al., 2024). PyTorch's `torch.optim.Muon` takes only plain
    matrices. Here the kernel of a convolution is a matrix with one row for each output. A matrix that packs several
    (query, key and value; the gates of a recurrent cell) is divided into ``pieces`` of equal height.

    Departs from Jordan in the length of a step. For any shape of the matrix, its root mean square is the learning rate
    of the group if the momentum has full rank, and less otherwise. Jordan's step is shorter by sqrt(columns), and that
    of `match_rms_adamw` in PyTorch by 5.

    Args:
        groups: as for AdamW; those with ``pieces``, the number of matrices packed into each weight, are Muon's.
        lr: learning rate of groups that name none.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, lr=lr, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step. Weights that Muon has moved have no gradient after it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if "pieces" in group:
                self.step_matrices(group)
        super().step()  # skips weights without gradient
        return loss

    def step_matrices(self, group: dict[str, Any]) -> None:
        """Muon's step of one group: momentum with a look ahead (Nesterov), made orthogonal, after weight decay."""
        directions: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                # AdamW looks for the count in every weight's state when a checkpoint is read.
                state["step"], state["momentum"] = torch.zeros(()), torch.zeros_like(weight)
            state["step"] += 1
            momentum = state["momentum"].mul_(MOMENTUM).add_(weight.grad)
            ahead = momentum.mul(MOMENTUM).add_(weight.grad)
            weight.grad = None
            weight.mul_(1 - group["lr"] * group["weight_decay"])
            for part, direction in zip(weight.chunk(group["pieces"]), ahead.chunk(group["pieces"]), strict=True):
                directions[part.shape].append((part, direction.flatten(1)))
        for alike in directions.values():  # matrices of one shape share a product: many small ones are slow
            stacked = orthogonal(torch.stack([direction for _, direction in alike]))
            scale = max(stacked.shape[1:]) ** 0.5
            for (part, _), step in zip(alike, stacked, strict=True):
                part.sub_(step.reshape(part.shape), alpha=group["lr"] * scale)


def orthogonal(matrices_XRC: Tensor) -> Tensor:
    """Roughly the nearest orthogonal matrices: the same singular vectors, with singular values from 0.7 to 1.2.

    Singular values under a hundredth of the norm of the matrix grow less, and zero stays zero.

    Args:
        matrices_XRC: X matrices of R rows and C columns.

    Returns:
        (N, R, C).
    """
    a, b, c = QUINTIC
    tall = matrices_XRC.shape[1] > matrices_XRC.shape[2]
    x = matrices_XRC.transpose(1, 2) if tall else matrices_XRC
    x = x / (x.norm(dim=(1, 2), keepdim=True) + TINY)
    for _ in range(ITERATIONS):
        squared = x @ x.transpose(1, 2)
        x = a * x + (b * squared + c * squared @ squared) @ x
    result: Tensor = x.transpose(1, 2) if tall else x
    return result


def packed_matrices(module: nn.Module, weight: Tensor) -> int:
    """How many matrices a weight of a module packs: attention's query, key and value, a recurrent cell's gates."""
    if isinstance(module, nn.MultiheadAttention) and weight is module.in_proj_weight:
        return 3
    return max(1, len(weight) // module.hidden_size) if isinstance(module, nn.RNNBase) else 1
