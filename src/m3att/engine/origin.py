"""What a run starts from: the bundled model that fits it, or the last model of a run that is trained before it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from m3att.config import ModelConfig, RunConfig, TrainConfig
from m3att.engine.run_folder import RunFolder
from m3att.model_folder import BUNDLED, BUNDLED_WORD, CONFIG, DEFAULT_MODEL, bundled_models
from m3att.presets import find_preset

MARK = "preset:"  # what `train.init` begins with where it names a run that comes before
EARLIER = "earlier"  # folder of these runs in the folder of the run
# Where and how a computer trains, not what.
SHARED = ("device", "threads", "workers", "log_every", "save_every", "keep_last")


@dataclass(frozen=True)
class EarlierRun:
    """A run of a preset that is trained before another one.

    Args:
        preset: its name.
        config: its settings; `train.init` is None or a folder.
        folder: of the run.
    """

    preset: str
    config: RunConfig
    folder: RunFolder

    @property
    def steps(self) -> int:
        """How many steps it takes."""
        assert self.config.train.steps is not None  # test_presets.py holds the presets to this
        return self.config.train.steps

    @property
    def has_ended(self) -> bool:
        """Whether its last model is there."""
        return int(self.folder.last_metrics().get("step", 0)) >= self.steps


def preset_before(settings: TrainConfig) -> str | None:
    """The preset whose run comes before, or None."""
    init = settings.init or ""
    return init.removeprefix(MARK) if init.startswith(MARK) else None


def last_model(out: Path, preset: str) -> Path:
    """The model folder that a preset's run leaves for the run in `out`."""
    return RunFolder(out / EARLIER / preset).last


def bundled_for(model: ModelConfig) -> str:
    """The bundled model with the sizes and the encoders of a network; the default model where none has them.

    Args:
        model: of the network that starts from it.
    """

    def sizes(values: dict[str, Any]) -> tuple[object, ...]:
        vision = values["vision"]
        own = (vision["widths"], vision["blocks"]) if vision["encoder"] == "tiny" else ()
        return values["channels"], vision["encoder"], *own, values["language"]["encoder"]

    wanted = sizes(json.loads(json.dumps(asdict(model))))  # as the files have it: lists, no tuples
    for name in (DEFAULT_MODEL, *bundled_models()):
        if sizes(json.loads((BUNDLED / name / CONFIG).read_text(encoding="utf-8"))["model"]) == wanted:
            return name
    return DEFAULT_MODEL


def named_start(config: RunConfig) -> RunConfig:
    """The same run with the name of a model in place of `bundled`."""
    if config.train.init != BUNDLED_WORD:
        return config
    return replace(config, train=replace(config.train, init=bundled_for(config.model)))


def started_from_folder(config: RunConfig, out: Path) -> RunConfig:
    """The same run with the folder of the model that it starts from in place of the name of a preset."""
    preset = preset_before(config.train)
    if preset is None:
        return config
    return replace(config, train=replace(config.train, init=str(last_model(out, preset))))


def earlier_runs(config: RunConfig, out: Path) -> list[EarlierRun]:
    """The runs that come before a run, in the order in which they are trained.

    Each is what its preset says. Only the settings in SHARED are those of the run that needs it.

    Args:
        config: of the run.
        out: its folder.

    Raises:
        ConfigError: where there is no preset of that name.
    """
    shared = {name: getattr(config.train, name) for name in SHARED}
    runs: list[EarlierRun] = []
    preset = preset_before(config.train)
    while preset is not None:
        before = find_preset(preset).config
        own = replace(before, train=replace(before.train, **shared))
        runs.insert(0, EarlierRun(preset, started_from_folder(own, out), RunFolder(out / EARLIER / preset)))
        preset = preset_before(before.train)
    return runs
