"""The state of a training. It is written as a whole, and a resumed run continues with the next batch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from m3att.engine.run_folder import RunFolder
from m3att.errors import ModelError
from m3att.files import replace_tensors
from m3att.model.network import M3AttNet
from m3att.model_folder import current_names


@dataclass(frozen=True)
class Position:
    """Where a training stands.

    Args:
        step: optimiser steps done.
        epoch: number of the epoch that the next batch belongs to.
        batch: number of the next batch in that epoch.
        seconds: training time so far.
        expressions: expressions trained on so far.
        best_mean_iou: best validation so far; see `Scores.agreement`.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    expressions: int = 0
    best_mean_iou: float = -1.0


def save_checkpoint(folder: RunFolder, network: M3AttNet, optimizer: torch.optim.Optimizer, position: Position) -> None:
    """Write weights, optimiser state and position as one safetensors file; an interruption leaves the old one.

    Args:
        folder: of the run.
        network: its weights.
        optimizer: its moments.
        position: where the training stands.

    Raises:
        ModelError: where it cannot be written.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors["random"] = torch.get_rng_state()
    device = next(network.parameters()).device
    if device.type == "cuda":  # dropout on a GPU uses the GPU's generator
        tensors["random_cuda"] = torch.cuda.get_rng_state(device)
    replace_tensors(folder.checkpoint, tensors, {"position": json.dumps(vars(position))})


def load_checkpoint(folder: RunFolder, network: M3AttNet, optimizer: torch.optim.Optimizer) -> Position:
    """Fill network and optimiser from a run folder's checkpoint.

    Args:
        folder: of the run.
        network: is filled in place.
        optimizer: of that network; is filled in place.

    Raises:
        ModelError: where it is missing, broken or of another network.
    """
    path = folder.checkpoint
    if not path.is_file():
        raise ModelError(f"{path}: no checkpoint to resume from; start without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            position = Position(**json.loads(file.metadata()["position"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network.load_state_dict(current_names(take(tensors, "network.")))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: not a checkpoint of this run ({str(error).splitlines()[0]})") from error
    state: dict[int, dict[str, Any]] = {}
    for name, value in take(tensors, "optimizer.").items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    # Moments need the memory layout of their weights: the fused optimiser ignores strides, and would otherwise mix up
    # the moments of a kernel.
    for weight, moments in optimizer.state.items():
        for key, value in moments.items():
            if value.ndim > 1:
                moments[key] = torch.empty_like(weight).copy_(value)
    torch.set_rng_state(tensors["random"])
    device = next(network.parameters()).device
    if device.type == "cuda" and "random_cuda" in tensors:  # missing if the run was on a CPU until now
        torch.cuda.set_rng_state(tensors["random_cuda"], device)
    return position


def take(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
