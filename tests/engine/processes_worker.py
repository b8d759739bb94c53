"""What one of several processes does in test_distributed.py: python processes_worker.py FOLDER."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from m3att.config import (
    DataConfig,
    DecoderConfig,
    EvaluateConfig,
    InputConfig,
    LanguageConfig,
    MaskDecoderConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.data.batch import Batch, BatchReader
from m3att.data.order import Group, divide
from m3att.data.shaperef import source as shaperef
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.text import Tokenizer
from m3att.engine import train as training
from m3att.engine.batches import batches
from m3att.engine.distributed import ALONE, Processes, together
from m3att.engine.evaluate import evaluate
from m3att.engine.muon import orthogonal_alike, orthogonal_together
from m3att.engine.optim import build_optimizer
from m3att.engine.sharding import whole_tensor
from m3att.engine.step import train_step
from m3att.errors import LostError
from m3att.launched import may_speak, process_rank
from m3att.model.build import build_network
from m3att.model.network import M3AttNet

shaperef._TEXT_SCENES = 40  # the words of many scenes would take half a minute
SOURCE = ShapeRefSource("shaperef", "train", 5, 3)
RUN = RunConfig(
    model=ModelConfig(
        channels=16,
        word_limit=24,
        vision=VisionConfig(widths=(8, 16), blocks=(0, 0), encoder_layers=1),
        language=LanguageConfig(word_channels=8),
        decoder=DecoderConfig(layers=2, heads=2, feedforward=1, dropout=0, reconstruction_stop_gradient=True),
        mask=MaskDecoderConfig(channels=4, upsamplings=2),
    ),
    input=InputConfig(size=32, resize="stretch"),
    data=DataConfig(dataset="shaperef", per_image=4, flip=True),
    train=TrainConfig(
        batch_size=8, steps=4, optimizer="adamw", learning_rate=1e-3, schedule="constant", warmup=0, clip=0,
        dice_weight=1, category_weight=0.5, attention_weight=0.1, box_weight=0.3, device="cpu", workers=0, threads=1,
        log_every=1, validate_every=4, validate_images=3, save_every=2, tracked_images=0,
    ),
    evaluate=EvaluateConfig(threshold=0.5, batch_size=4),
)  # fmt: skip
# Images and micro-batches. Of the last two, a process has no part of some micro-batch.
BATCHES = (([0, 1, 2, 3, 4], 1), ([0, 1, 2, 3, 4], 2), ([3, 1], 2), ([2], 1))


def network_of(tokenizer: Tokenizer) -> M3AttNet:
    """The network of the run, the same in every process."""
    torch.manual_seed(3)
    return build_network(RUN.model, RUN.input.size, tokenizer.size, len(SOURCE.category_names) + 1).train()


def half_boxed(batch: Batch) -> Batch:
    """The batch with large masks for boxes, so that processes have different numbers of boxes."""
    boxed_M = batch.masks_MHW.flatten(1).float().mean(dim=1) > 12
    return replace(batch, boxed_M=boxed_M, has_boxes=bool(boxed_M.any()))


def step(
    processes: Processes, tokenizer: Tokenizer, images: Sequence[int], accumulate: int, divided: bool = False
) -> dict[str, Any]:
    """Losses, gradients and running statistics of a step on a batch."""
    network = network_of(tokenizer)
    forward = processes.wrap(network, divided)
    network = forward if divided else network
    optimizer = build_optimizer(network, RUN.train)
    reader = BatchReader(SOURCE, tokenizer, RUN.input, RUN.data, training=True, categories=True)
    parts = []
    for micro in divide([Group(image, None, 1 + image, image) for image in images], accumulate):
        groups = divide(micro, processes.count)[processes.rank]
        if micro:  # one that nobody has is left out, as `batches` does
            parts.append(half_boxed(reader[groups]) if groups else reader[groups].stand_in())
    losses, norm = train_step(forward, network, optimizer, parts, RUN, 1e-3, processes)
    return {
        "losses": {name: value.detach() for name, value in vars(losses).items()},
        "norm": norm,
        "gradients": {
            name: whole_tensor(weight.grad) for name, weight in network.named_parameters() if weight.grad is not None
        },
        "buffers": dict(network.named_buffers()),
    }


def furthest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """Of each kind the largest difference, relative to the largest value of its tensor."""
    found: dict[str, float] = {}
    for kind in one:
        left, right = ({"": item[kind]} if kind == "norm" else item[kind] for item in (one, other))
        assert left.keys() == right.keys(), kind
        for name, value in left.items():
            scale = max(float(right[name].abs().max()), 1e-3)
            found[kind] = max(found.get(kind, 0), float((value - right[name]).abs().max()) / scale)
    return found


def directions() -> list[float]:
    """Of Muon's directions that processes compute together, the largest difference from one process.

    The second list leaves a process without a matrix.
    """
    torch.manual_seed(0)
    shapes = [(5, 3), (16, 4), (5, 3), (2, 9), (1, 1), (16, 4)]
    lists = [[torch.randn(shape) for shape in shapes], [torch.randn(4, 4)]]
    return [
        max(
            float((one - other).abs().max())
            for one, other in zip(orthogonal_together(matrices), orthogonal_alike(matrices), strict=True)
        )
        for matrices in lists
    ]


def counts(processes: Processes, tokenizer: Tokenizer) -> list[Any]:
    """All that an evaluation counts, in its order."""
    scores = evaluate(network_of(tokenizer), tokenizer, SOURCE, RUN.input, RUN.evaluate, RUN.data, processes=processes)
    columns = [
        [list(column.intersections), list(column.unions), list(column.predicted)] for column in scores.counts.values()
    ]
    return [columns, [[*expression[:4]] for expression in scores.expressions], scores.cut, scores.unknown]


def on_data(root: Path, steps: int = 3) -> RunConfig:
    """A run on a folder in the REFER layout, with an epoch of few batches."""
    data = DataConfig(root=str(root), dataset="shaperef", per_image=4, flip=True)
    return replace(RUN, data=data, train=replace(RUN.train, steps=steps))


def train(config: RunConfig, folder: Path, resume: bool = False) -> list[list[Any]]:
    """Train; returns the ids of this process's part of the batch of each step."""
    seen: list[list[Any]] = []

    def watched(*words: Any) -> Any:
        for drawn in batches(*words):
            seen.append([[image, list(expressions)] for image, expressions in drawn.ids])
            yield drawn

    training.batches = watched
    try:
        training.train(config, folder, resume)
    finally:
        training.batches = batches
    return seen


def main(data: Path, folder: Path) -> None:
    """Do everything that needs several processes, and write what was found; the last process kills itself."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    tokenizer = Tokenizer.from_texts(["the red ball left of the green box", "a blue star"], RUN.model.word_limit)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with together("cpu") as processes:
            for images, accumulate in BATCHES:
                shared, alone = (step(which, tokenizer, images, accumulate) for which in (processes, ALONE))
                found[f"step {images} {accumulate}"] = furthest(shared, alone)
            shared, alone = (
                step(processes, tokenizer, [0, 1, 2, 3, 4], 2, True),
                step(ALONE, tokenizer, [0, 1, 2, 3, 4], 2),
            )
            found["divided"] = furthest(shared, alone)
            found["directions"] = directions()
            found["counts"] = counts(processes, tokenizer) == counts(ALONE, tokenizer)
            found["seen"] = train(on_data(data), folder / "run")
            sharded = on_data(data)
            train(replace(sharded, train=replace(sharded.train, shard=True, steps=1)), folder / "divided")
            train(replace(sharded, train=replace(sharded.train, shard=True)), folder / "divided", resume=True)
            write(folder, found)
            processes.wait()
            if processes.rank == processes.count - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            processes.wait()
    except LostError as error:
        found["lost"] = [str(error), may_speak(), may_speak()]
    write(folder, found)


def write(folder: Path, found: dict[str, Any]) -> None:
    """Write what this process found."""
    (folder / f"{process_rank()}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
