"""Writes the figures, faults, checkpoints and models of a run; nothing else writes into the folder of a run.

Of several processes the first writes. The others call the same functions, which write nothing there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from m3att.config import RunConfig
from m3att.data.text import Tokenizer
from m3att.engine.checkpoint import Position, load_checkpoint, save_checkpoint
from m3att.engine.data_print import DataPrint
from m3att.engine.distributed import ALONE, Processes
from m3att.engine.ema import WeightAverage
from m3att.engine.faults import RunFaults
from m3att.engine.lines import drop_later_lines, raw_lines
from m3att.engine.run_folder import RunFolder
from m3att.engine.step import fault_of, require_finite
from m3att.engine.trackers import Trackers, tracking
from m3att.errors import ConfigError, DivergedError, ModelError
from m3att.files import clear_unfinished, replace_file
from m3att.losses import Losses
from m3att.model.network import M3AttNet
from m3att.pretrained import save_model, write_architectures
from m3att.settings import config_to_yaml


@dataclass(frozen=True)
class Recorder:
    """What of a run is written to its folder.

    Args:
        folder: of the run.
        config: its settings.
        tokenizer: its words.
        network: its weights, as they are when something is saved.
        optimizer: its state likewise.
        world: see `Source.world`.
        faults: what could not be read so far.
        trackers: where figures and pictures go too; none in a process that does not write.
        average: its network is the one that is saved as a model.
        processes: that train together.
        divided: network and optimiser that are trained in the place of these, if each process has a part of the
            weights.
    """

    folder: RunFolder
    config: RunConfig
    tokenizer: Tokenizer
    network: M3AttNet
    optimizer: torch.optim.Optimizer
    world: str
    faults: RunFaults
    trackers: Trackers
    average: WeightAverage
    processes: Processes = ALONE
    divided: tuple[M3AttNet, torch.optim.Optimizer] | None = None

    def dividing(self, divided: M3AttNet, optimizer: torch.optim.Optimizer) -> Recorder:
        """The same recorder for a training of divided weights.

        Args:
            divided: of `engine.sharding.shard`, of the network.
            optimizer: of the divided network; it takes over the state of the present one.
        """
        from m3att.engine.sharding import divide_state

        divide_state(self.optimizer, optimizer)
        self.optimizer.state.clear()
        return replace(self, divided=(divided, optimizer))

    def collect(self) -> None:
        """Bring the network up to date, if another one is trained in its place; all processes must do it."""
        if self.divided is not None:
            from m3att.engine.sharding import collect

            collect(self.divided[0], self.network)

    def log(self, position: Position, figures: Mapping[str, float]) -> None:
        """One line of metrics.jsonl, and the same to the trackers."""
        if not self.processes.is_first:
            return
        counts = {"step": position.step, "expressions": position.expressions, "seconds": round(position.seconds, 1)}
        with self.folder.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**counts, **figures}) + "\n")
        self.trackers.figures(position.step, figures)

    def show(self, position: Position, pictures: Mapping[str, Image.Image]) -> None:
        """Pictures of a validation, to the trackers."""
        self.trackers.pictures(position.step, pictures)

    def skipped(self, step: int, ids: tuple[tuple[int, tuple[int, ...]], ...], losses: Losses, norm: Tensor) -> bool:
        """Whether a step changed no weight, as its loss or gradient is no finite number; its batch is then named.

        Args:
            step: its number.
            ids: of its batch, as far as this process has it; see Batch.
            losses: of the step.
            norm: of its gradient, a scalar.

        Raises:
            DivergedError: where there are more such steps than the run allows.
        """
        fault = fault_of(losses, norm)
        if fault is None:
            return False
        every = self.processes.joined(list(ids))
        if not self.processes.is_first:
            return True
        images = [{"image_id": image, "expression_ids": list(expressions)} for image, expressions in every]
        path, limit = self.folder.bad_steps, self.config.train.bad_steps
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "fault": fault, "images": images}) + "\n")
        count = len(raw_lines(path))
        if count > limit:
            allowed = f"train.bad_steps allows {limit}, and this is number {count}; " if limit else ""
            raise DivergedError(
                f"{fault} at step {step}: {allowed}lower --train.learning_rate, or skip such steps with "
                f"--train.bad_steps; {path} names the batch"
            )
        return True

    def save_models(self, position: Position, agreement: float) -> Position:
        """Write the last model, and the best where none was better; returns the position, which knows the best.

        Raises:
            DivergedError: where a weight is no finite number.
        """
        require_finite(self.average.network, position.step)
        folders = [self.folder.last]
        position = replace(position, stale=position.stale + 1)
        if agreement > position.best_mean_iou:
            position = replace(position, best_mean_iou=agreement, stale=0)
            folders.insert(0, self.folder.best)
        for folder in folders if self.processes.is_first else ():
            save_model(folder, self.average.network, self.tokenizer, self.config, self.world)
        return position

    def save_checkpoint(self, position: Position) -> None:
        """Write the checkpoint from which the run can be resumed.

        Raises:
            DivergedError: where a weight is no finite number.
            ModelError: where it cannot be written, as on a disk that is full; the checkpoint before it stays.
        """
        self.collect()
        require_finite(self.network, position.step)
        state = None
        if self.divided is not None:
            from m3att.engine.sharding import whole_state

            state = whole_state(self.divided[1], self.optimizer)
        if not self.processes.is_first:
            return
        last, every = self.config.train.keep_last, self.config.train.keep_every
        try:
            save_checkpoint(self.folder, self.network, self.optimizer, position, last, every, self.average, state)
        except (ModelError, OSError) as error:
            more = "go on with --resume from the checkpoint before it" if self.folder.can_resume else "start again"
            raise ModelError(f"{error}; make room, and {more}") from error


@contextmanager
def recording(
    folder: RunFolder,
    config: RunConfig,
    tokenizer: Tokenizer,
    network: M3AttNet,
    optimizer: torch.optim.Optimizer,
    world: str,
    resume: bool,
    prints: Mapping[str, DataPrint],
    announce: Callable[[list[str]], None],
    processes: Processes = ALONE,
) -> Iterator[tuple[Recorder, Position]]:
    """Begin to write a run's folder, or go on with it.

    Args:
        folder: held by the first process. All of them read a checkpoint from it.
        config: of the run; replaces what the folder holds, as a run that goes on may read from elsewhere.
        tokenizer: its words.
        network: gets the checkpoint's weights where the run goes on.
        optimizer: gets the checkpoint's state likewise.
        world: see `Source.world`.
        resume: go on from the checkpoint; else figures of an earlier run that saved none are dropped.
        prints: of its data, as `engine.data_print` makes them.
        announce: called with a line about each checkpoint that is damaged.
        processes: that train together.

    Yields:
        The recorder, and where the run stands.

    Raises:
        ConfigError: where the processes do not see the same checkpoint, or a tracker does not start.
        ModelError: where the checkpoint is missing or does not fit.
    """
    position, average = Position(), WeightAverage(network, config.train.ema)
    if resume:
        position = load_checkpoint(folder, network, optimizer, lambda line: announce([line]), average)
        steps = sorted({found.step for found in processes.joined([position])})
        if len(steps) > 1:
            raise ConfigError(f"{folder.path}: the processes read checkpoints of steps {steps}: it is not on one drive")
    if processes.is_first:
        begin_folder(folder, config, tokenizer, network, prints, position if resume else None)
    faults = RunFaults(folder, config.data.fault_limit, notes=processes.is_first)
    opened: AbstractContextManager[Trackers] = nullcontext(Trackers([], print))
    if processes.is_first:
        opened = tracking(folder, config, position.step, resume, lambda line: announce([line]))
    with opened as trackers:
        yield (
            Recorder(folder, config, tokenizer, network, optimizer, world, faults, trackers, average, processes),
            position,
        )


def begin_folder(
    folder: RunFolder,
    config: RunConfig,
    tokenizer: Tokenizer,
    network: M3AttNet,
    prints: Mapping[str, DataPrint],
    resumed: Position | None,
) -> None:
    """Write what a run's folder holds from the start, and drop what no checkpoint knows.

    Args:
        folder: of the run.
        config: of the run.
        tokenizer: its words.
        network: its architecture.
        prints: of its data.
        resumed: where the run goes on; None: it starts anew.
    """
    for part in list(folder.path.rglob("*.part")):  # what a process that was killed had not finished writing
        if part.is_dir():  # of an export, which may be at work still
            clear_unfinished(part.parent)
        else:
            part.unlink(missing_ok=True)
    replace_file(folder.config, config_to_yaml(config).encode())
    replace_file(folder.data, json.dumps(prints, indent=1).encode())
    if resumed is not None:
        drop_later_lines(folder.metrics, resumed.step)
        if folder.bad_steps.is_file():
            drop_later_lines(folder.bad_steps, resumed.step)
    else:
        replace_file(folder.tokenizer, tokenizer.tokenizer.to_str(pretty=True).encode())
        write_architectures(folder.path, network)
        folder.metrics.unlink(missing_ok=True)
        folder.faults.unlink(missing_ok=True)
        folder.bad_steps.unlink(missing_ok=True)
        folder.tracker_ids.unlink(missing_ok=True)
