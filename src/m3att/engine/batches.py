"""The batches of a training: the next one at any position in the data, and how many there are."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from m3att.config import RunConfig
from m3att.data.batch import Batch, BatchReader
from m3att.data.open import ENDLESS
from m3att.data.order import EndlessOrder, Group, TrainingOrder, divide
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.engine.checkpoint import Position
from m3att.engine.distributed import ALONE, Processes
from m3att.engine.faults import RunFaults
from m3att.errors import ConfigError, DataError


class Drawn(NamedTuple):
    """The batch of one optimiser step.

    Args:
        parts: its micro-batches, as far as this process has them.
        following: the (epoch, batch) that comes next.
        expressions: of the whole batch.
    """

    parts: tuple[Batch, ...]
    following: tuple[int, int]
    expressions: int

    @property
    def ids(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Of each image of this process its id, and the ids of its expressions; see Sample."""
        return tuple(found for part in self.parts for found in part.ids)


class PartsReader(Dataset[tuple[Batch, ...]]):
    """Reads the micro-batches of a process.

    Args:
        reader: reads one.
        rank: of the process.
        processes: how many share each micro-batch.
        accumulate: micro-batches of a batch.
    """

    def __init__(self, reader: BatchReader, rank: int, processes: int, accumulate: int) -> None:
        self.reader, self.rank, self.processes, self.accumulate = reader, rank, processes, accumulate

    def __getitem__(self, groups: Sequence[Group]) -> tuple[Batch, ...]:
        # First into micro-batches, so that these are the same with any number of processes.
        parts = divide(groups, self.accumulate)
        return tuple(self.reader[divide(part, self.processes)[self.rank]] for part in parts)


def batches(
    config: RunConfig,
    source: Source,
    tokenizer: Tokenizer,
    position: Position,
    steps: int,
    faults: RunFaults,
    processes: Processes = ALONE,
) -> Iterator[Drawn]:
    """The batches from a position to the last step.

    A batch in which nothing can be read is skipped and not counted as a step. A resumed run skips it too. The same
    holds for a micro-batch. Which batch comes when does not depend on the number of processes.

    Args:
        config: of the run.
        source: of the training.
        tokenizer: of the run.
        position: where the run stands.
        steps: of the whole run.
        faults: of the run; gets what cannot be read.
        processes: that train together.

    Raises:
        DataError: where nothing of an epoch can be read, or faults are more than the run allows.
    """
    settings, data = config.train, config.data
    step, epoch, start = position.step, position.epoch, position.batch
    was_read = start > 0  # whether something of the epoch could be read; of one that is resumed nobody knows
    while step < steps:
        inputs, stop = config.input, steps
        for size, until in zip(settings.early_sizes, settings.early_steps, strict=True):
            if step < until:
                inputs, stop = replace(inputs, size=size), min(steps, until)
                break
        drawn = source.at_epoch(epoch)
        order: list[list[Group]] | EndlessOrder
        if len(source) >= ENDLESS:
            # There is no last batch, so a run that is made longer goes on with new images.
            start, length = step, ENDLESS
            order = EndlessOrder(settings.batch_size, data.per_image if data.grouped else 1, step, stop, settings.seed)
        else:
            whole = list(TrainingOrder(drawn, settings.batch_size, data, settings.seed, epoch))
            length, order = len(whole), whole[start : start + stop - step]
        reader = BatchReader(drawn, tokenizer, inputs, data, training=True, categories=settings.category_weight > 0)
        loader: DataLoader[tuple[Batch, ...]] = DataLoader(
            PartsReader(reader, processes.rank, processes.count, settings.accumulate),
            sampler=order,
            batch_size=None,
            num_workers=settings.workers,
            prefetch_factor=4 if settings.workers else None,
            worker_init_fn=quiet_worker,
            # A generator of its own: each epoch and each --resume makes a loader, which must not change dropout.
            generator=torch.Generator(),
        )
        for number, parts in enumerate(loader, start=start + 1):
            found = [len(part.mask_index_N) for part in parts]
            *sizes, unread = processes.summed(torch.tensor([*found, sum(len(part.faults) for part in parts)])).tolist()
            if unread:
                faults.note(processes.joined([fault for part in parts for fault in part.faults]))
            following = (epoch, number) if number < length else (epoch + 1, 0)
            if any(sizes):
                step, was_read = step + 1, True
                kept = [
                    part if own else part.stand_in()
                    for part, own, size in zip(parts, found, sizes, strict=True)
                    if size
                ]
                yield Drawn(tuple(kept), following, sum(sizes))
        if following[1] == 0:
            if not was_read:
                raise DataError(f"no image of the training split can be read; {faults.path} names the faults")
            was_read = False
        epoch, start = following


def quiet_worker(_: int) -> None:
    """Limit a reading process to one core, and let the training process decide when it ends.

    Ctrl-C in a terminal, and the SIGTERM of a cluster, reach all processes of a training. The training still needs the
    batches of its last step.
    """
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def count_steps(config: RunConfig, source: Source) -> int:
    """Optimiser steps of the run.

    Raises:
        ConfigError: where data without end are given no number of steps.
    """
    settings = config.train
    if settings.steps is not None:
        return settings.steps
    if len(source) >= ENDLESS:
        raise ConfigError("data that are drawn on the fly have no epochs: give --train.steps")
    first = TrainingOrder(source, settings.batch_size, config.data, settings.seed, 0)
    return max(1, round(settings.epochs * len(first)))
