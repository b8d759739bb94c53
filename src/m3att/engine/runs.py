"""The runs in some folders: how far each is, what it reached, and in what they differ. It does not import PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3att.config import RunConfig
from m3att.engine.position import Position, position_of
from m3att.engine.run_folder import RunFolder
from m3att.engine.run_lock import is_held
from m3att.errors import ConfigError, DataError
from m3att.presets import PRESETS
from m3att.settings import config_to_dict, differences, flatten

RUNNING, FINISHED, STOPPED, NEW = "running", "finished", "stopped", "no checkpoint"
UNREADABLE = "unreadable"
INSIDE = {"best", "last", "checkpoints", "tensorboard", "wandb", "mlflow"}  # folders of a run that hold no other run
# Where a computer trains, and what it says of it: no difference between two trainings.
INCIDENTAL = {"train.device", "train.threads", "train.workers", "train.trackers", "train.tracked_images"}
NEAR = 12  # settings in which a run may differ from the preset that it is named after
SCORES = ("val/mean_iou", "val/overall_iou", "val/precision_0.5", "old/mean_iou")


@dataclass(frozen=True)
class RunRow:
    """One run.

    Args:
        path: its folder.
        state: one of the words above.
        config: its settings; None where they cannot be read.
        fault: why not.
        step: steps done, as far as the log says.
        steps: of the whole run; None: not known.
        best: best validated mean IoU; None where it has not validated.
        loss: the last that was logged.
        scores: the last validation, by name.
        seconds: of training.
        changed: when its log was last written, as seconds since 1970.
    """

    path: Path
    state: str
    config: RunConfig | None = None
    fault: str = ""
    step: int = 0
    steps: int | None = None
    best: float | None = None
    loss: float | None = None
    scores: Mapping[str, float] | None = None
    seconds: float | None = None
    changed: float = 0.0

    def preset(self) -> tuple[str, int] | None:
        """The preset whose settings are nearest, and in how many it differs; None where all are far away."""
        if self.config is None:
            return None
        own = flatten(config_to_dict(self.config))
        counts = {
            name: sum(value != other[key] for key, value in own.items() if key not in INCIDENTAL)
            for name, other in ((name, flatten(config_to_dict(preset.config))) for name, preset in PRESETS.items())
        }
        name = min(counts, key=lambda one: counts[one])
        return (name, counts[name]) if counts[name] <= NEAR else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        near = self.preset()
        return {
            "folder": str(self.path),
            "state": self.state,
            "fault": self.fault or None,
            "preset": near and {"name": near[0], "changed_settings": near[1]},
            "dataset": self.config and self.config.data.dataset,
            "step": self.step,
            "steps": self.steps,
            "best_mean_iou": self.best,
            "loss": self.loss,
            "scores": dict(self.scores or {}),
            "seconds": self.seconds,
            "changed": self.changed,
        }


def find_runs(places: Sequence[Path]) -> list[RunRow]:
    """The runs in some folders and in the folders below them, each once, in the order of their names.

    Args:
        places: run folders, or folders that hold some.

    Raises:
        ConfigError: where a place is no folder.
    """
    found: dict[Path, None] = {}
    for place in places:
        if not place.is_dir():
            raise ConfigError(f"{place}: no such folder; name folders of runs, or a folder that holds some")
        found |= dict.fromkeys(run_folders(place))
    return [read_run(path) for path in found]


def run_folders(place: Path) -> Iterator[Path]:
    """The folders of runs at a place and below it."""
    for name, folders, files in os.walk(place):
        path = Path(name)
        if "config.yaml" in files and "tokenizer.json" in files:
            yield path
            folders[:] = [folder for folder in folders if folder not in INSIDE]
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))


def read_run(path: Path) -> RunRow:
    """What is known of a run."""
    folder = RunFolder(path)
    changed = max(map(written_at, (folder.metrics, folder.config)))
    try:
        config, lines = folder.read_config(), folder.read_metrics()
    except (ConfigError, DataError) as error:
        return RunRow(path, UNREADABLE, fault=str(error), changed=changed)
    position = position_of(folder.checkpoint)
    figures: dict[str, Any] = {}
    for line in lines:
        figures |= line  # the newest of each name
    return RunRow(
        path=path,
        state=state_of(folder, config, position),
        config=config,
        step=int(figures.get("step", position.step if position else 0)),
        steps=config.train.steps or (position.steps if position else 0) or None,
        best=best_of(lines, position),
        loss=figures.get("loss/total"),
        scores={name: figures[name] for name in SCORES if name in figures},
        seconds=figures.get("seconds"),
        changed=changed,
    )


def written_at(file: Path) -> float:
    """When a file was last written, as seconds since 1970; 0 where there is none, as a run may just have removed it."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def state_of(folder: RunFolder, config: RunConfig, position: Position | None) -> str:
    """Whether a run goes on at the moment, has ended, or waits to be resumed.

    Args:
        folder: of the run.
        config: its settings.
        position: of its checkpoint.
    """
    if is_held(folder.lock):
        return RUNNING
    if position is None:
        return STOPPED if folder.can_resume else NEW
    steps = config.train.steps or position.steps
    return FINISHED if steps and position.has_ended(steps, config.train.patience) else STOPPED


def best_of(lines: Sequence[Mapping[str, Any]], position: Position | None) -> float | None:
    """The best validation of a run, by its checkpoint and by what was logged since.

    Args:
        lines: of the metrics.
        position: of the checkpoint.
    """
    known = [position.best_mean_iou] if position is not None and position.best_mean_iou >= 0 else []
    logged = [line.get("agreement", line.get("val/mean_iou")) for line in lines]
    return max([*known, *(float(value) for value in logged if value is not None)], default=None)


def changed_settings(runs: Sequence[RunRow]) -> dict[str, list[Any]]:
    """The settings in which runs differ, by dotted name, with the value of each run.

    Args:
        runs: whose settings can be read.
    """
    configs = [run.config for run in runs if run.config is not None]
    keys = dict.fromkeys(
        key for config in configs[1:] for key in differences(configs[0], config) if key not in INCIDENTAL
    )
    values = [flatten(config_to_dict(config)) for config in configs]
    return {key: [one[key] for one in values] for key in keys}
