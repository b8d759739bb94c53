"""The state of a training. It is written as a whole, and a resumed run continues with the next batch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from m3att.engine.ema import WeightAverage
from m3att.engine.position import Position as Position
from m3att.engine.run_folder import RunFolder
from m3att.errors import ModelError, shown
from m3att.files import replace_tensors, replacing
from m3att.model.network import M3AttNet
from m3att.model_folder import current_names

FORMAT = 3
"""Of new checkpoints. Older ones are read too: 1 has no number and no checksum, 2 no average."""


class DamagedError(Exception):
    """A checkpoint file that is not what was once written; its text says why."""


def save_checkpoint(
    folder: RunFolder,
    network: M3AttNet,
    optimizer: torch.optim.Optimizer,
    position: Position,
    keep_last: int = 1,
    keep_every: int = 0,
    average: WeightAverage | None = None,
    state: Mapping[int, Mapping[str, Any]] | None = None,
) -> None:
    """Write the state of a training as one safetensors file; an interruption leaves the old one.

    Args:
        folder: of the run.
        network: its weights.
        optimizer: its moments.
        position: where the training stands.
        keep_last: how many of the newest checkpoints are kept, this one included.
        keep_every: a checkpoint whose step is a multiple of it is kept too. 0: none is.
        average: moving average of the weights, where the run has one.
        state: the moments as a whole, if each process has a part of them; None: those of the optimiser.

    Raises:
        ModelError: where it cannot be written.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for number, values in (state or optimizer.state_dict()["state"]).items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state().items()}
    tensors["random"] = torch.get_rng_state()
    device = next(network.parameters()).device
    if device.type == "cuda":  # dropout on a GPU uses the GPU's generator
        tensors["random_cuda"] = torch.cuda.get_rng_state(device)
    where = json.dumps(vars(position))
    metadata = {"format": str(FORMAT), "position": where, "sha256": checksum(where, tensors)}
    kept = keep_earlier(folder, position.step, keep_last, keep_every)
    replace_tensors(folder.checkpoint, tensors, metadata)
    for path in folder.kept_checkpoints.values():
        if path not in kept:  # last of all: until here each of them might have been needed
            path.unlink()


def checksum(position: str, tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of what a checkpoint holds, in hexadecimal.

    Args:
        position: as text.
        tensors: of any shape and device; their names, kinds and shapes count too.
    """
    found = hashlib.sha256(position.encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def keep_earlier(folder: RunFolder, step: int, keep_last: int, keep_every: int) -> set[Path]:
    """Give the newest checkpoint a second name, under which it stays when a new one takes its place.

    Args:
        folder: of the run.
        step: of the new checkpoint.
        keep_last: see `save_checkpoint`.
        keep_every: see `save_checkpoint`.

    Returns:
        The earlier checkpoints to be kept.
    """
    try:
        newest = read_header(folder.checkpoint)[0].step
    except (DamagedError, ModelError, FileNotFoundError):  # nothing that anybody could go on from
        newest = step
    steps = folder.kept_checkpoints
    if newest < step:
        steps[newest] = folder.kept_checkpoint(newest)
    last = sorted(number for number in steps if number < step)[::-1][: keep_last - 1]
    kept = {number for number in steps if number in last or (keep_every and number % keep_every == 0)}
    if newest < step and newest in kept:
        duplicate(folder.checkpoint, steps[newest])
    return {steps[number] for number in kept}


def duplicate(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system cannot do that."""
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        with replacing(target) as part:
            shutil.copyfile(source, part)


def read_header(path: Path) -> tuple[Position, str | None]:
    """The position of a checkpoint, and its checksum, which the first format does not have.

    Args:
        path: of the file.

    Raises:
        DamagedError: where the file is cut short, or no safetensors file.
        FileNotFoundError: where there is none.
        ModelError: where it is whole, but no checkpoint that this version of m3att can read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError) as error:
        raise DamagedError(str(error).splitlines()[0]) from error
    form = metadata.get("format", "1")
    if not form.isdecimal() or int(form) > FORMAT:
        raise ModelError(
            f"{path}: a newer m3att wrote it (format {shown(form)}; this one reads up to {FORMAT}): update m3att"
        )
    try:
        position = Position(**json.loads(metadata["position"]))
        return position, metadata["sha256"] if int(form) > 1 else None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not a checkpoint of this run (its header: {error})") from error


def read_whole(path: Path) -> tuple[Position, dict[str, Tensor]]:
    """The position and the tensors of a checkpoint, as `save_checkpoint` wrote them; see there.

    Args:
        path: of the file.

    Raises:
        DamagedError: where it is not what was once written.
        FileNotFoundError: where there is none.
        ModelError: where it is whole, but no checkpoint that this version of m3att can read.
    """
    position, expected = read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            written = file.metadata()["position"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DamagedError(str(error).splitlines()[0]) from error
    if expected is not None and checksum(written, tensors) != expected:
        raise DamagedError("its content does not fit its checksum")
    return position, tensors


def load_checkpoint(
    folder: RunFolder,
    network: M3AttNet,
    optimizer: torch.optim.Optimizer,
    note: Callable[[str], None] = lambda line: None,
    average: WeightAverage | None = None,
) -> Position:
    """Fill network, optimiser and moving average from a run folder's newest checkpoint that is whole.

    Args:
        folder: of the run.
        network: is filled in place.
        optimizer: of that network; is filled in place.
        note: gets a line about each newer checkpoint that is damaged.
        average: is filled in place.

    Raises:
        ModelError: where there is none, all are damaged, or it is of another network or of a newer m3att.
    """
    if not folder.can_resume:
        raise ModelError(f"{folder.checkpoint}: no checkpoint to resume from; start without --resume")
    damaged: list[str] = []
    for path in folder.checkpoints:
        try:
            position, tensors = read_whole(path)
            break
        except DamagedError as error:
            damaged.append(f"{path}: damaged ({error})")
    else:
        raise ModelError(f"{damaged[0]}, and no earlier checkpoint is whole: start the run anew with another --out")
    for line in damaged:
        note(f"note: {line}; the run goes on from the checkpoint of step {position.step:,}")
    try:
        network.load_state_dict(current_names(take(tensors, "network.")))
        if average is not None:
            average.load(take(tensors, "average."))
    except (KeyError, RuntimeError) as error:
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
