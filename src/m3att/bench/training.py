"""Measures what a training costs beside its network: waiting for data, the loop around a step, memory by batch size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from m3att.config import RunConfig
from m3att.data.batch import Batch
from m3att.data.open import open_trained_on
from m3att.engine.batches import batches
from m3att.engine.checkpoint import Position
from m3att.engine.dry_run import data_at_hand, dry_run
from m3att.engine.faults import RunFaults
from m3att.engine.optim import learning_rate_at
from m3att.engine.origin import named_start, preset_before
from m3att.engine.start import start_optimizer, start_process, start_run
from m3att.engine.step import flushed_denormals, losses_of, targets_of, train_step
from m3att.engine.train import train
from m3att.model.network import M3AttNet

WARM = 2  # first steps that are not counted: processes start, memory is fetched
NEVER = 10**9
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """A training that is measured.

    Args:
        config: its settings, short and without validation, checkpoints and smaller inputs at its start.
        notes: in what it differs from the run that was asked for.
    """

    config: RunConfig
    notes: tuple[str, ...]


def planned(config: RunConfig, steps: int) -> Plan:
    """The short training that stands for a run.

    Args:
        config: of the run.
        steps: that are counted.
    """
    data, notes = data_at_hand(config.data)
    config = replace(named_start(config), data=data)
    before = preset_before(config.train)
    if before is not None:
        notes.append(f"the run of preset {before} comes before; here the network starts with fresh weights")
        config = replace(config, train=replace(config.train, init=None, fresh=()))
    short = replace(
        config.train,
        steps=WARM + steps + 1,  # the last one validates
        early_sizes=(),
        early_steps=(),
        restarts=(),
        validate_every=NEVER,
        validate_start=False,
        validate_images=1,
        save_every=NEVER,
        patience=0,
    )
    return Plan(replace(config, train=short), tuple(notes))


@flushed_denormals()
def measure_training(plan: Plan, progress: Progress | None = None) -> dict[str, Any]:
    """Time the steps of a training beside the bare work of its network, and what it waits for its data.

    First the whole loop runs as `m3att train` runs it, and after each of its steps the bare step on the same batch:
    forward, losses, backward, optimiser. The two take turns, so that both meet the same load of the machine. Data
    are read by one process at least, and come in time while the bare step runs. Then the loop runs alone, and the time
    that it waits for each batch is taken, with the reading processes that the run has.

    Args:
        plan: the training.
        progress: called with steps done and all steps of both parts.

    Returns:
        Plain values. ``overhead`` is the median over the steps of the loop's time over the bare time, less 1;
        ``wait_share`` the share of the time of all steps. On a CPU the times of the first part are seconds of the
        processor, so that other programs do not count.

    Raises:
        M3AttError: for whatever the run itself would be refused for.
    """
    config = plan.config
    settings = config.train
    device = start_process(settings)
    source = open_trained_on(config.data)
    source.prepare()
    start = start_run(config, source)
    network = start.network
    optimizer = start_optimizer(network, config, device)
    network.train()
    steps = settings.steps or 0
    faults = RunFaults(None, config.data.fault_limit)
    kept = [
        [part.to(device) for part in drawn.parts]
        for drawn in batches(config, source, start.tokenizer, Position(), steps, faults)
    ]
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    whole: list[float] = []
    bare: list[float] = []
    last = clock()

    def beside(step: int, _: int, __: dict[str, float]) -> None:
        nonlocal last
        settle(device)
        whole.append(clock() - last)
        begun = clock()
        bare_step(network, optimizer, kept[step - 1], config)
        settle(device)
        bare.append(clock() - begun)
        if progress is not None:
            progress(step, 2 * steps)
        last = clock()

    with TemporaryDirectory() as folder:
        read_beside = replace(config, train=replace(settings, workers=max(1, settings.workers)))
        train(read_beside, Path(folder) / "run", report=beside)
    pairs = list(zip(whole, bare, strict=True))[WARM:-1]
    waited, total = measure_waiting(config, network, optimizer, start.tokenizer, device, progress)
    expressions = [sum(len(part.mask_index_N) for part in parts) for parts in kept[WARM:-1]]
    return {
        "notes": list(plan.notes),
        "device": str(device),
        "threads": torch.get_num_threads(),
        "workers": settings.workers,
        "input_size": config.input.size,
        "batch_size": settings.batch_size,
        "pixels": source.pixels,
        "steps": len(pairs),
        "expressions": sum(expressions) / len(expressions),
        "images": sum(len(part.pixels_BCHW) for parts in kept[WARM:-1] for part in parts) / len(expressions),
        "clock": "processor" if device.type == "cpu" else "wall",
        "step_seconds": median(one for one, _ in pairs),
        "bare_seconds": median(one for _, one in pairs),
        "overhead": median(one / other for one, other in pairs) - 1,
        "wait_share": waited / total,
        "expressions_per_second": sum(expressions) / total,
    }


def measure_waiting(
    config: RunConfig,
    network: M3AttNet,
    optimizer: torch.optim.Optimizer,
    tokenizer: Any,
    device: torch.device,
    progress: Progress | None,
) -> tuple[float, float]:
    """Seconds that a training waits for its batches, and seconds of all of its steps.

    Args:
        config: of the training.
        network: that is trained.
        optimizer: of that network.
        tokenizer: its words.
        device: of the network.
        progress: see measure_training.
    """
    source = open_trained_on(config.data)
    steps = config.train.steps or 0
    faults = RunFaults(None, config.data.fault_limit)
    waited = total = 0.0
    begun = time.perf_counter()
    for number, drawn in enumerate(batches(config, source, tokenizer, Position(), steps, faults)):
        read = time.perf_counter()
        parts = [part.to(device) for part in drawn.parts]
        train_step(network, network, optimizer, parts, config, learning_rate_at(number, steps, config.train))
        settle(device)
        ended = time.perf_counter()
        if WARM <= number < steps - 1:
            waited, total = waited + read - begun, total + ended - begun
        begun = ended
        if progress is not None:
            progress(steps + number + 1, 2 * steps)
    return waited, total


def bare_step(network: M3AttNet, optimizer: torch.optim.Optimizer, parts: Sequence[Batch], config: RunConfig) -> None:
    """What no training can do without: forward, losses, backward and the optimiser's step.

    Args:
        network: in training mode.
        optimizer: of that network.
        parts: the micro-batches of a batch, on the device of the network.
        config: of the run.
    """
    settings = config.train
    optimizer.zero_grad(set_to_none=True)
    for batch in parts:
        target = targets_of(batch, network, settings)
        with torch.autocast(batch.pixels_BCHW.device.type, torch.bfloat16, settings.precision == "bfloat16"):
            output = network(
                batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL, reconstruct=True
            )
        losses_of(output, batch, target, target.counts, settings).total.backward()
    optimizer.step()


def settle(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_memory(config: RunConfig, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Most memory of one step for some batch sizes, each in a process of its own.

    Args:
        config: of the run.
        sizes: expressions of a batch.

    Returns:
        For each size its expressions, images and bytes; on a CPU these are all bytes of the process.
    """
    found: list[dict[str, Any]] = []
    for size in sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            step = pool.submit(peak_of_step, replace(config, train=replace(config.train, batch_size=size))).result()
        found.append({"batch_size": size, **step})
    return found


def peak_of_step(config: RunConfig) -> dict[str, Any]:
    """One step on the first batch of a run: its expressions, images and most bytes in use."""
    step = dry_run(config).step
    return {"expressions": step.expressions, "images": step.images, "peak_bytes": step.peak_bytes}
