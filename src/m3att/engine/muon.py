"""Muon for matrices and kernels beside AdamW for everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
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
        parts: list[Tensor] = []
        directions: list[Tensor] = []
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
            parts += weight.chunk(group["pieces"])
            directions += [direction.flatten(1) for direction in ahead.chunk(group["pieces"])]
        for part, step in zip(parts, orthogonal_together(directions), strict=True):
            part.sub_(step.reshape(part.shape), alpha=group["lr"] * max(step.shape) ** 0.5)


def orthogonal_together(matrices: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonal` of many matrices. Of several processes, each computes a part of them and sends it to the others.

    Args:
        matrices: of shapes (R, C), the same in every process of the default group.

    Returns:
        One (R, C) for each of them, in their order.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1 or not matrices:
        return orthogonal_alike(matrices)
    shares = equal_shares([costs(*matrix.shape) for matrix in matrices], dist.get_world_size())
    own = orthogonal_alike([matrices[number] for number in shares[dist.get_rank()]])
    length = max(sum(matrices[number].numel() for number in share) for share in shares)
    sent = matrices[0].new_zeros(length)
    if own:
        torch.cat([matrix.flatten() for matrix in own], out=sent[: sum(matrix.numel() for matrix in own)])
    received = [torch.empty_like(sent) for _ in shares]
    dist.all_gather(received, sent)
    found: list[Tensor] = list(matrices)
    for share, values in zip(shares, received, strict=True):
        sizes = [matrices[number].numel() for number in share]
        for number, flat in zip(share, values[: sum(sizes)].split(sizes), strict=True):
            found[number] = flat.view(matrices[number].shape)
    return found


def costs(rows: int, columns: int) -> int:
    """Multiply-adds of one iteration of `orthogonal` for a matrix, up to a factor.

    Args:
        rows: R.
        columns: C.
    """
    short, long = sorted((rows, columns))
    return short * short * (2 * long + short)


def equal_shares(weights: Sequence[int], count: int) -> list[list[int]]:
    """Divide pieces of work: the heaviest first, each to whom has least so far. It is the same in every process.

    Args:
        weights: of the pieces.
        count: of the shares.

    Returns:
        The numbers of the pieces in each share, in rising order.
    """
    shares: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for number in sorted(range(len(weights)), key=lambda number: (-weights[number], number)):
        lightest = loads.index(min(loads))
        loads[lightest] += weights[number]
        shares[lightest].append(number)
    return [sorted(share) for share in shares]


def orthogonal_alike(matrices: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonal` of each of the matrices (R, C). Those of one shape share a product: many small ones are slow."""
    alike: dict[torch.Size, list[int]] = defaultdict(list)
    for number, matrix in enumerate(matrices):
        alike[matrix.shape].append(number)
    found: list[Tensor] = list(matrices)
    for numbers in alike.values():
        stacked = orthogonal(torch.stack([matrices[number] for number in numbers]))
        for number, matrix in zip(numbers, stacked, strict=True):
            found[number] = matrix
    return found


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
