"""Tests a run before a machine is booked for it: the costs of its network, and one real optimiser step."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from m3att.config import DataConfig, ModelConfig, RunConfig
from m3att.data.batch import BatchReader
from m3att.data.open import ENDLESS, OWN, open_trained_on
from m3att.data.order import EndlessOrder, Group, TrainingOrder, divide
from m3att.data.refer.splits import default_split_by, require_legal
from m3att.data.shaperef.world import VARIANTS
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.encoders import halves_of
from m3att.engine.batches import count_steps
from m3att.engine.costs import Memory, Part, count_parts, estimate_memory
from m3att.engine.optim import learning_rate_at
from m3att.engine.origin import named_start, preset_before
from m3att.engine.overview import idle_phases
from m3att.engine.pace import peak_memory
from m3att.engine.start import start_optimizer, start_process, start_run
from m3att.engine.step import fault_of, train_step
from m3att.errors import ConfigError, DivergedError, counted
from m3att.model.network import M3AttNet
from m3att.settings import config_to_dict

STAND_INS = {"refcoco+": "shaperef+", "refcocog": "shaperefg"}  # like in their words; for all others ShapeRef itself
STAND_IN_IMAGES = 64
FREE_SHARE = 0.75  # share of the free memory that the step may take, because other programs run too
WORKING_ROOM = 1.9  # most memory of a step relative to the estimate: it was 1.87 with Darknet-53, batch of 48


@dataclass(frozen=True)
class Step:
    """One optimiser step.

    Args:
        images: of its batch.
        expressions: of its batch.
        losses: by name.
        gradient_norm: before clipping.
        learning_rate: of a run's first step.
        seconds: of forward, backward and optimiser, and of compiling where the run compiles.
        peak_bytes: most memory used so far, of the process or, on a GPU, of PyTorch there; None where unknown.
    """

    images: int
    expressions: int
    losses: Mapping[str, float]
    gradient_norm: float
    learning_rate: float
    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class DryRun:
    """What a dry run found.

    Args:
        config: the run's settings.
        notes: in what the step differs from the run's own, one line each.
        pixels: photos, layout or drawn.
        vocabulary: words.
        steps: of the whole run; None where the data at hand do not say.
        parts: of the network.
        memory: of a step.
        batch_images: images of the run's first full batch, or of its largest micro-batch; of a stand-in's, where the
            data are not at hand.
        step: the step that was taken.
    """

    config: RunConfig
    notes: tuple[str, ...]
    pixels: str
    vocabulary: int
    steps: int | None
    parts: tuple[Part, ...]
    memory: Memory
    batch_images: int
    step: Step

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; counts are multiply-adds, parameters and bytes."""
        expressions = -(-self.config.train.batch_size // self.config.train.accumulate)
        rows = [asdict(part) for part in self.parts]
        return {
            "config": config_to_dict(self.config),
            "notes": list(self.notes),
            "pixels": self.pixels,
            "vocabulary": self.vocabulary,
            "steps": self.steps,
            "parts": rows,
            "total": {key: sum(row[key] for row in rows) for key in rows[0] if key != "name"},
            "memory": asdict(self.memory)
            | {
                "batch_expressions": expressions,
                "batch_images": self.batch_images,
                "batch": self.memory.batch(self.batch_images, expressions),
                "batch_of_single_images": self.memory.batch(expressions, expressions),
            },
            "step": asdict(self.step),
        }


def dry_run(config: RunConfig) -> DryRun:
    """Build a run's network, count it, and take one optimiser step; nothing is written.

    Raises:
        M3AttError: for whatever the run itself would be refused for, and where not even two expressions find room.
    """
    settings = config.train
    device = start_process(settings)
    data, notes = data_at_hand(config.data)
    used = replace(named_start(config), data=data)
    if (earlier := preset_before(settings)) is not None:
        notes.append(f"the run of preset {earlier} comes before; here the network starts with fresh weights")
        used = replace(used, train=replace(settings, init=None, fresh=()))
    source = open_trained_on(data)
    pixels = source.pixels
    if config.data.pixels == "photos" and pixels == "layout":
        notes.append(f"{data.root} has no photos: the step reads layouts drawn of the annotated boxes")
    filled = config.model if used.train.init else loosened(config.model, notes)
    start = start_run(used, source, filled=filled)
    tokenizer, network = start.tokenizer, start.network
    parts = count_parts(network, config.input.size, config.model.word_limit)
    memory = estimate_memory(network, config)
    expressions = fitting_expressions(memory, used, source, free_memory(device))
    if expressions < settings.batch_size:
        notes.append(f"memory is short: the step takes {expressions} of a batch's {settings.batch_size} expressions")
    groups = first_groups(source, used, expressions)
    is_stand_in = data.dataset != config.data.dataset
    steps = settings.steps if is_stand_in else count_steps(used, source)
    notes += idle_phases(config, steps) if steps is not None else ()
    return DryRun(
        config=config,
        notes=tuple(notes),
        pixels=pixels,
        vocabulary=tokenizer.size,
        steps=steps,
        parts=parts,
        memory=memory,
        batch_images=max(map(len, divide(first_groups(source, used, settings.batch_size), settings.accumulate))),
        step=take_step(network, used, source, tokenizer, groups, device),
    )


def data_at_hand(data: DataConfig) -> tuple[DataConfig, list[str]]:
    """The data of the run, or drawn data if they cannot be read, with a note that says so.

    Raises:
        DataError: where the data set or one of its splits is unknown, which nothing that is drawn would tell.
    """
    names = [name.strip() for name in data.dataset.split(",")]
    if data.root is not None:
        return replace(data, pixels="auto" if data.pixels == "photos" else data.pixels), []
    if all(name in VARIANTS for name in names):
        return data, []
    for name in (name for name in names if name not in OWN):
        for split in ("train", data.split):
            require_legal(name, data.split_by or default_split_by(name), split)
    drawn = STAND_INS.get(names[0], "shaperef")
    note = f"no --data.root: the step reads {drawn}'s drawn scenes in place of {data.dataset}, with their vocabulary"
    return replace(data, dataset=drawn, split_by=None, pixels="auto", images=STAND_IN_IMAGES), [note]


def loosened(model: ModelConfig, notes: list[str]) -> ModelConfig:
    """The settings with encoders without weights not frozen; a run would be refused, the dry run notes it."""
    for half in halves_of(model):
        if half.starts_fresh or half.freezes_nothing:
            notes.append(f"the {half.name} encoder is fresh: the run itself wants --model.{half.name}.weights")
            free: dict[str, Any] = {half.name: replace(half.settings, freeze=False)}
            model = replace(model, **free)
    return model


def first_groups(source: Source, config: RunConfig, expressions: int) -> list[Group]:
    """What a run's first batch holds.

    Args:
        source: of the training.
        config: batch size and sampling.
        expressions: of the batch.
    """
    data, seed = config.data, config.train.seed
    if len(source) >= ENDLESS:
        return next(iter(EndlessOrder(expressions, data.per_image if data.grouped else 1, 0, 1, seed)))
    return next(iter(TrainingOrder(source, expressions, data, seed, 0)))


def fitting_expressions(memory: Memory, config: RunConfig, source: Source, free: int | None) -> int:
    """The whole batch, or the largest half, quarter ... of it that fits into memory.

    Args:
        memory: of `estimate_memory`.
        config: says the batch.
        source: says how many images it holds.
        free: of `free_memory`, with the weights in memory already; None: unknown, so that all of it is tried.

    Raises:
        ConfigError: where there is none.
    """
    expressions = config.train.batch_size
    while free is not None:
        parts = divide(first_groups(source, config, expressions), config.train.accumulate)
        images = max(map(len, parts))
        needed = WORKING_ROOM * memory.batch(images, -(-expressions // len(parts))) - memory.weights
        if needed <= free:
            break
        if expressions <= 2:
            raise ConfigError(
                f"a step on {counted(expressions, 'expression')} needs {needed / 2**30:.1f} GiB and "
                f"{free / 2**30:.1f} are free: make the network smaller (--input.size, --model.mask.channels), or use "
                "a larger machine"
            )
        expressions = max(2, expressions // 2)
    return expressions


def take_step(
    network: M3AttNet,
    config: RunConfig,
    source: Source,
    tokenizer: Tokenizer,
    groups: Sequence[Group],
    device: torch.device,
) -> Step:
    """A run's first optimiser step, on one batch, at the full size of its input.

    Args:
        network: with its first weights.
        config: of the run.
        source: of the training.
        tokenizer: of the run.
        groups: images and expressions of the batch.
        device: where the step is taken.

    Raises:
        DivergedError: where loss or gradient is no number.
    """
    settings = config.train
    reader = BatchReader(
        source, tokenizer, config.input, config.data, training=True, categories=settings.category_weight > 0
    )
    batches = [reader[part].to(device) for part in divide(groups, settings.accumulate) if part]
    optimizer = start_optimizer(network, config, device)
    network.train()
    rate = learning_rate_at(0, settings.steps or sys.maxsize, settings)
    forward: Callable[..., Any] = torch.compile(network, dynamic=True) if settings.compile else network
    begun = time.perf_counter()
    losses, norm = train_step(forward, network, optimizer, batches, config, rate)
    fault = fault_of(losses, norm)  # waits for a GPU too
    if fault is not None:
        raise DivergedError(f"{fault} at step 1: lower --train.learning_rate")
    seconds = time.perf_counter() - begun
    return Step(
        images=sum(len(batch.pixels_BCHW) for batch in batches),
        expressions=sum(len(batch.mask_index_N) for batch in batches),
        losses={name: float(value.detach()) for name, value in vars(losses).items()},
        gradient_norm=float(norm),
        learning_rate=rate,
        seconds=seconds,
        peak_bytes=peak_memory(device),
    )


def free_memory(device: torch.device) -> int | None:
    """Bytes that a step may take on a GPU, or on a machine whose free memory is known; otherwise None."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found: list[int] = []
    available = re.search(r"MemAvailable:\s+(\d+) kB", read_text(Path("/proc/meminfo")))
    if available:
        found.append(int(available[1]) * 1024)
    limit, taken = (read_text(Path("/sys/fs/cgroup") / name).strip() for name in ("memory.max", "memory.current"))
    if limit.isdecimal() and taken.isdecimal():  # a container's; without a limit it says "max"
        found.append(int(limit) - int(taken))
    return max(0, int(FREE_SHARE * min(found))) if found else None


def read_text(path: Path) -> str:
    """A small file of the system's; empty where there is none."""
    return path.read_text(encoding="ascii") if path.is_file() else ""
