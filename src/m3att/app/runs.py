"""`m3att train`: settings in, a trained run out.

PyTorch and all that stands on it are imported inside the functions, so that help and errors come at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from m3att.app.commands import progress_bar
from m3att.config import DataConfig, RunConfig
from m3att.errors import ConfigError
from m3att.presets import PRESETS, find_preset
from m3att.settings import (
    SettingsParser,
    add_settings,
    changed,
    check_fit,
    config_from_file,
    config_to_yaml,
    differences,
    flatten,
    nest,
)

RUN_CONFIG = "config.yaml"
# What a run may change when it goes on: where it computes and reads, and how often it reports.
FREE_ON_RESUME = {
    "data.root",
    "train.device",
    "train.log_every",
    "train.save_every",
    "train.threads",
    "train.validate_every",
    "train.workers",
}
# Schedules whose learning rate at a step does not tell, until late, how many steps are to come.
LENGTHENED = ("trapezoid", "constant")
LINE_EVERY_SECONDS = 60.0


def train(words: Sequence[str], prog: str) -> int:
    """`m3att train`."""
    parser = SettingsParser(
        prog,
        description="Train a network, or go on with a run. Settings: preset, then config file, then the options here.",
        usage=f"{prog} --preset NAME | --config FILE [--section.field VALUE ...] --out RUN [--resume]",
        epilog="presets: " + " ".join(f"{name}: {preset.description}" for name, preset in PRESETS.items()),
    )
    parser.add_argument("--preset", type=str, metavar="NAME", help=f"start from {' or '.join(PRESETS)}")
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML with any of the settings below")
    parser.add_argument("--out", type=str, metavar="RUN", help="run folder")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out; its settings hold")
    parser.add_argument("--print-config", "--print_config", action="store_true", help="print the settings and stop")
    add_settings(parser, RunConfig)
    given = parser.parse_args(words, defaults=False).as_dict()
    options = {field.name: given[field.name] for field in fields(RunConfig) if field.name in given}
    out = Path(given["out"]) if given.get("out") else None
    if out is None and not given.get("print_config"):
        parser.error("--out is missing: name the run's folder")
    config = resumed_config(out, given, options) if given.get("resume") else started_config(given, options)
    if given.get("print_config"):
        print(config_to_yaml(config), end="")
        return 0
    assert out is not None
    return run_training(config, out, bool(given.get("resume")))


def started_config(given: Mapping[str, Any], options: Mapping[str, Any]) -> RunConfig:
    """The settings of a new run: preset < config file < options.

    Args:
        given: ``preset`` and ``config``, where they were given.
        options: nested values of the command line.

    Raises:
        ConfigError: where none of the three says what to train, or one of them is wrong.
    """
    if not given.get("preset") and not given.get("config") and not given.get("print_config"):
        raise ConfigError(f"what to train? give --preset ({', '.join(PRESETS)}) or --config FILE")
    config = find_preset(given["preset"]).config if given.get("preset") else RunConfig()
    if given.get("config"):
        config = config_from_file(Path(given["config"]), config)
    config = changed(config, options)
    check_fit(config)
    return config


def resumed_config(out: Path | None, given: Mapping[str, Any], options: Mapping[str, Any]) -> RunConfig:
    """The settings of a run that goes on: its own, but for those in FREE_ON_RESUME and, where possible, its length.

    Raises:
        ConfigError: where there is no run, or what was given contradicts its settings.
    """
    if out is None or not (out / RUN_CONFIG).is_file():
        raise ConfigError(f"{out}: no run to resume (it has no {RUN_CONFIG}); start it without --resume")
    saved = config_from_file(out / RUN_CONFIG)
    base = started_config(given, {}) if given.get("preset") or given.get("config") else saved
    wanted = changed(base, options)
    free = FREE_ON_RESUME | ({"train.steps"} if saved.train.schedule in LENGTHENED else set())
    for key, (own, other) in differences(saved, wanted).items():
        if key not in free:
            raise ConfigError(f"{out}: this run has {key} {own}, not {other}; leave it out, or start another run")
    return changed(saved, nest({key: value for key, value in flatten(options).items() if key in free}))


def run_training(config: RunConfig, out: Path, resume: bool) -> int:
    """Train with a progress bar, and say how to use what came of it."""
    from m3att.engine.checkpoint import CHECKPOINT
    from m3att.engine.train import train as train_network
    from m3att.pretrained import replace_file

    if resume:  # what was given now shall hold the next time too
        replace_file(out / RUN_CONFIG, config_to_yaml(config).encode())
    try:
        with training_progress() as report:
            model = train_network(config, out, resume, world_of(config.data), report)
    except KeyboardInterrupt:
        saved = (out / CHECKPOINT).is_file()
        advice = f"go on with: m3att train --out {out} --resume" if saved else "no checkpoint was written yet"
        raise KeyboardInterrupt(advice) from None
    print(f"trained: {model}; score it with: m3att evaluate --model {model}")
    return 0


def world_of(data: DataConfig) -> str:
    """What a network trained on these data will know, in a few words; empty for photos."""
    from m3att.data.refer import image_folder
    from m3att.data.shaperef.world import VARIANTS

    names = [name.strip() for name in data.dataset.split(",")]
    if all(name in VARIANTS for name in names):
        return "ShapeRef's drawn scenes"
    folders = [image_folder(Path(data.root), name) for name in names] if data.root else []
    has_photos = any(folder.is_dir() and any(folder.iterdir()) for folder in folders)
    if data.pixels == "layout" or (data.pixels == "auto" and not has_photos):
        return f"layouts drawn of {data.dataset}'s annotated boxes"
    return ""


@contextmanager
def training_progress() -> Iterator[Callable[[int, int, dict[str, float]], None]]:
    """Shows steps, pace and the newest figures: a bar on a terminal, else a line a minute and one a validation."""
    with progress_bar("training") as advance:
        said = time.monotonic()

        def report(step: int, steps: int, figures: dict[str, float]) -> None:
            nonlocal said
            advance(step, steps)
            validated = "val/mean_iou" in figures
            due = figures and not sys.stderr.isatty() and time.monotonic() - said > LINE_EVERY_SECONDS
            if validated or due:
                said = time.monotonic()
                print(figures_line(step, steps, figures), file=sys.stderr, flush=True)

        yield report


def figures_line(step: int, steps: int, figures: Mapping[str, float]) -> str:
    """The newest figures of a training in one line."""
    parts = [f"step {step:,} of {steps:,}"]
    parts += [f"{name} {figures[key]:.4f}" for name, key in (("loss", "loss/total"),) if key in figures]
    if "expressions_per_second" in figures:
        parts.append(f"{figures['expressions_per_second']:.0f} expressions/s")
    for name, key in (
        ("mean IoU", "val/mean_iou"),
        ("overall IoU", "val/overall_iou"),
        ("Pr@0.5", "val/precision_0.5"),
    ):
        if key in figures:
            parts.append(f"{name} {figures[key]:.3f}")
    return ", ".join(parts)
