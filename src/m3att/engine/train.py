"""Trains a network by a RunConfig, in one process or several. It may be killed and resumed at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from m3att.config import RunConfig
from m3att.data.open import open_training
from m3att.encoders import fresh_halves
from m3att.engine.batches import batches, count_steps
from m3att.engine.data_print import same_data
from m3att.engine.distributed import together
from m3att.engine.optim import learning_rate_at
from m3att.engine.overview import early_end, ended_before, overview
from m3att.engine.pace import Pace
from m3att.engine.recorder import recording
from m3att.engine.run_folder import RunFolder
from m3att.engine.snapshots import Snapshots
from m3att.engine.start import make_optimizer, start_optimizer, start_process, start_run
from m3att.engine.step import flushed_denormals, step_figures, train_step
from m3att.engine.stopping import Stopping
from m3att.engine.trackers import require_trackers
from m3att.engine.validation import open_old_validation, validate
from m3att.errors import ConfigError, DataError
from m3att.model.network import M3AttNet
from m3att.weights.start import require_weights

Report = Callable[[int, int, dict[str, float]], None]  # step, steps, the newest figures
Announce = Callable[[list[str]], None]


@flushed_denormals()
def train(
    config: RunConfig,
    out: Path,
    resume: bool = False,
    report: Report | None = None,
    announce: Announce | None = None,
    stop: Stopping | None = None,
) -> Path:
    """Train, validate and save; `RunFolder` lists the files.

    Args:
        config: the run.
        out: run folder.
        resume: go on from the folder's checkpoint, with the very batch that would have come next. Where there is no
            checkpoint yet, the run starts anew.
        report: called after each step.
        announce: called with lines for the reader: of `overview` before the first step, of `early_end` after the last.
        stop: where it is asked to stop, the training saves a checkpoint at the end of the step and ends.

    Returns:
        The folder of the last model.

    Raises:
        ConfigError: where the folder holds a run, another process trains in it, the data of a run that goes on have
            changed, or the settings do not fit each other.
        DataError: where the data are missing, or more than ``data.fault_limit`` of them cannot be read.
        DivergedError: where more losses or gradients than ``train.bad_steps`` are no finite numbers.
        KeyboardInterrupt: where ``stop`` was asked by Ctrl-C.
        ModelError: where the checkpoint does not fit.
        StoppedError: where ``stop`` was asked by SIGTERM.
    """
    stop, announce = stop or Stopping(), announce or (lambda lines: None)
    folder, settings = RunFolder(out), config.train
    with together(settings.device) as processes, folder.held() if processes.is_first else nullcontext():
        if processes.is_first and not resume and folder.can_resume:
            raise ConfigError(f"{out} holds a run already: add --resume to go on with it, or name another --out")
        resume = processes.of_first(folder.can_resume)
        if not resume:
            require_weights(config.model, fresh_halves(settings))  # at once: data may take a while to open
        require_trackers(settings.trackers)
        device = start_process(settings, processes)
        source, validation = open_training(config.data, settings.validate_images)
        old = open_old_validation(config)
        source.prepare()
        prints = same_data(folder if resume else None, source, validation, old, processes)
        start = start_run(config, source, folder if resume else None)
        tokenizer, network = start.tokenizer, start.network
        optimizer = start_optimizer(network, config, device)
        steps = count_steps(config, source)
        world = source.world
        recorded = recording(folder, config, tokenizer, network, optimizer, world, resume, prints, announce, processes)
        with recorded as (recorder, position), stop.waiting(processes.largest):
            wrapped = processes.wrap(network, settings.shard)
            trained: M3AttNet = wrapped if settings.shard else network
            if trained is not network:
                optimizer = make_optimizer(trained, config)
                recorder = recorder.dividing(trained, optimizer)
            if settings.compile:
                wrapped = torch.compile(wrapped, dynamic=True)
            recorder.faults.note(source.faults)
            announce(
                overview(config, source, validation, start, steps, position, old)
                + ended_before(position, steps, settings.patience)
            )
            begun = time.monotonic() - position.seconds
            if settings.validate_start and position.step == 0 and not resume:
                found = validate(network, tokenizer, validation, old, config, device, processes)
                recorder.log(position, found.figures)
                recorder.faults.note(found.left_out)
            trained.train()
            until = position.step if position.has_ended(steps, settings.patience) else steps
            pace = Pace(device)
            following = batches(config, source, tokenizer, position, until, recorder.faults, processes)
            for drawn in pace.watched(following):
                rate = learning_rate_at(position.step, steps, settings)
                parts = [part.to(device) for part in drawn.parts]
                processes.seed(settings.seed, position.step)
                losses, norm = train_step(wrapped, trained, optimizer, parts, config, rate, processes)
                position = replace(
                    position,
                    step=position.step + 1,
                    epoch=drawn.following[0],
                    batch=drawn.following[1],
                    seconds=time.monotonic() - begun,
                    expressions=position.expressions + drawn.expressions,
                    steps=steps,
                )
                logs, validates, saves = (
                    position.step == steps or position.step % every == 0
                    for every in (settings.log_every, settings.validate_every, settings.save_every)
                )
                skipped = recorder.skipped(position.step, drawn.ids, losses, norm)
                if not skipped:
                    recorder.average.update()
                figures = step_figures(losses, norm, rate, position) | pace.figures() if logs and not skipped else {}
                if validates:
                    recorder.collect()
                    shots = Snapshots(settings.tracked_images)
                    shown = recorder.average.network
                    try:
                        found = validate(shown, tokenizer, validation, old, config, device, processes, shots.watch)
                    except DataError:
                        recorder.save_checkpoint(position)  # a drive that is gone costs no step
                        raise
                    figures |= found.figures
                    recorder.show(position, shots.pictures)
                    position = recorder.save_models(position, found.agreement)
                if figures:
                    recorder.log(position, figures)
                asked = processes.largest(stop.signal or 0)
                stops, ended = asked > 0, position.has_ended(steps, settings.patience)
                if saves or stops or ended:
                    recorder.save_checkpoint(position)
                if validates:
                    recorder.faults.note(found.left_out)
                if report is not None:
                    report(position.step, steps, figures)
                if ended:
                    announce(early_end(position, steps))
                    break
                if stops:
                    processes.wait()  # for the checkpoint: the process that speaks says whether there is one
                    stop.signal = stop.signal or asked  # perhaps only another process has received it
                    raise stop.error()
        processes.wait()  # until everything is written
    return folder.last
