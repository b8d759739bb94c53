"""The settings of a run: of a new one by preset, file and options, and of one that goes on."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from m3att.app.drawn import check_drawn
from m3att.bounds import check_fit
from m3att.config import RunConfig
from m3att.effects import changed_from_default, value_of, without_effect
from m3att.engine.origin import named_start, preset_before, started_from_folder
from m3att.engine.position import position_of
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError
from m3att.model_folder import BUNDLED_WORD
from m3att.presets import find_preset
from m3att.settings import changed, config_from_file, differences, flatten, nest, read_values

# Settings that may change when a run continues: where it computes and reads, and how often it reports.
FREE_ON_RESUME = {
    "data.fault_limit",
    "data.image_root",
    "data.root",
    "train.bad_steps",
    "train.device",
    "train.keep_every",
    "train.keep_last",
    "train.log_every",
    "train.patience",
    "train.save_every",
    "train.shard",
    "train.threads",
    "train.tracked_images",
    "train.trackers",
    "train.validate_every",
    "train.workers",
}
# Schedules in which the learning rate does not depend on the length of the run until late.
LENGTHENED = ("trapezoid", "constant")


def started_config(given: Mapping[str, Any], options: Mapping[str, Any]) -> RunConfig:
    """The settings of a new run: preset < config file < options.

    Args:
        given: ``preset`` and ``config``, where they were given.
        options: nested values of the command line.

    Raises:
        ConfigError: where none of the three says what to train, or one of them is wrong.
    """
    if not given.get("preset") and not given.get("config") and not given.get("print_config"):
        raise ConfigError("what to train? give --preset NAME (`m3att presets` lists them) or --config FILE")
    preset = config = find_preset(given["preset"]).config if given.get("preset") else RunConfig()
    if given.get("config"):
        config = config_from_file(Path(given["config"]), preset)
    return with_options(config, options, config.data.pixels != preset.data.pixels)


def with_options(config: RunConfig, options: Mapping[str, Any], drawn: bool = False) -> RunConfig:
    """Settings with those of the command line laid over them.

    Args:
        config: the settings below.
        options: nested values of the command line.
        drawn: whether somebody chose the `data.pixels` of the settings below; see `check_drawn`.

    Raises:
        ConfigError: where one of them is wrong, or two of them say the same thing.
    """
    train = options.get("train", {})
    if train.get("epochs") is not None and train.get("steps") is not None:
        raise ConfigError("--train.epochs and --train.steps both say how long to train: give one of them")
    config = changed(config, options)
    check_drawn(drawn or "pixels" in options.get("data", {}), config.data)
    check_fit(config)
    return config


def given_settings(given: Mapping[str, Any], options: Mapping[str, Any]) -> set[str]:
    """The dotted names of settings that somebody chose: on the command line, or in a file and not as the default is."""
    values = read_values(Path(given["config"])) if given.get("config") else {}
    return changed_from_default(values) | set(flatten(options))


def note_idle(config: RunConfig, given: Collection[str]) -> None:
    """Say which of the given settings change nothing."""
    for line in without_effect(config, given):
        print(f"note: {line}", file=sys.stderr)


def resumed_config(out: Path | None, given: Mapping[str, Any], options: Mapping[str, Any]) -> RunConfig:
    """The settings of a run that goes on: its own, but for those in FREE_ON_RESUME and, where possible, its length.

    Args:
        out: folder of the run.
        given: ``preset`` and ``config``, where they were given.
        options: nested values of the command line.

    Raises:
        ConfigError: where there is no run, or what was given contradicts its settings.
    """
    if out is None or not RunFolder(out).is_run:
        if not given.get("preset") and not given.get("config"):
            raise ConfigError(f"{out}: no run to resume (it has no config.yaml); start it without --resume")
        return started_config(given, options)  # it was killed before it wrote anything
    saved = RunFolder(out).read_config()
    base = started_config(given, {}) if given.get("preset") or given.get("config") else saved
    wanted = with_options(base, options)
    free = FREE_ON_RESUME | ({"train.steps"} if saved.train.schedule in LENGTHENED else set())
    ends = planned_steps(RunFolder(out), saved)
    longer = ends is not None and (wanted.train.steps or 0) > ends
    if longer and wanted.train.restarts == (*saved.train.restarts, ends):
        free |= {"train.steps", "train.restarts"}  # a second leg; the first stays as planned
    if preset_before(wanted.train) is not None or wanted.train.init == BUNDLED_WORD:
        wanted = started_from_folder(named_start(wanted), out)
    for key, (own, other) in differences(saved, wanted).items():
        if key not in free:
            advice = "leave it out, or start another run"
            if key in ("train.steps", "train.restarts") and longer:
                legs = f"'{[*saved.train.restarts, ends]}'"
                advice = f"to go on after step {ends}, give --train.steps {wanted.train.steps} --train.restarts {legs}"
            raise ConfigError(f"{out}: this run has {key} {own}, not {other}; {advice}")
    chosen = free & given_settings(given, options)
    resumed = changed(saved, nest({key: value_of(wanted, key) for key in chosen}))
    check_fit(resumed)
    return resumed


def planned_steps(folder: RunFolder, saved: RunConfig) -> int | None:
    """How many steps a run has in all: as its settings say, or as its checkpoint knows where they say epochs.

    Args:
        folder: of the run.
        saved: its settings.

    Returns:
        None where nobody knows yet.
    """
    if saved.train.steps is not None:
        return saved.train.steps
    position = next((found for found in map(position_of, folder.checkpoints) if found is not None), None)
    return position.steps or None if position is not None else None
