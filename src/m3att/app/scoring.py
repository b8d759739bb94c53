"""What the commands that score share: their options, the opening of a model and of its data, and the scoring.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from m3att.app.console import progress_bar
from m3att.app.drawn import check_drawn
from m3att.app.run_settings import note_idle
from m3att.bounds import RANGES
from m3att.config import DataConfig, EvaluateConfig, RunConfig
from m3att.effects import shown
from m3att.errors import ConfigError
from m3att.protocols import PROTOCOLS
from m3att.settings import SettingsParser, add_settings, changed, flatten, settings_of

if TYPE_CHECKING:
    import torch

    from m3att.data.source import Source
    from m3att.engine.distributed import Processes
    from m3att.engine.scores import Scores
    from m3att.pretrained import Pretrained
    from m3att.report.answers import AnswerLog

TRAINING_SETTINGS = (
    "data.sentences",
    "data.grouped",
    "data.per_image",
    "data.flip",
    "data.crop",
    "data.jitter",
    "data.beside",
    "data.beside_share",
    "data.old",
    "data.old_share",
)


def add_scoring_options(parser: SettingsParser) -> None:
    """Add the options that decide what is scored and how."""
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda or auto")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that read the data; 0: this process reads them"
    )
    parser.add_argument("--threads", type=int | None, help="CPU threads of the network; one more reads and scores")
    add_settings(parser, DataConfig, "data", skip=TRAINING_SETTINGS)
    add_settings(parser, EvaluateConfig, "evaluate")


def checked_options(parser: SettingsParser, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the given options; wrong ones are reported before a model is loaded."""
    options = {name: given[name] for name in ("data", "evaluate") if name in given}
    changed(RunConfig(), options)
    for option in ("workers", "threads"):
        allowed = RANGES[f"train.{option}"]
        if given.get(option) is not None and given[option] not in allowed:
            parser.error(f"--{option}: {given[option]} is out of range, give {allowed}")
    return options


class ScoredModel(NamedTuple):
    """What `evaluate --model` scores: the model, on what, and how."""

    pretrained: Pretrained
    source: Source
    config: RunConfig
    device: torch.device


def open_model(given: Mapping[str, Any], options: Mapping[str, Any], processes: Processes | None = None) -> ScoredModel:
    """The model that ``--model`` names and what it is scored on; what no option says comes from its training.

    Args:
        given: what was given on the command line.
        options: the settings among it.
        processes: that score together; None: this one is alone.
    """
    import torch

    from m3att.data.open import open_source
    from m3att.engine.distributed import ALONE
    from m3att.pretrained import load_model

    if given.get("threads"):
        torch.set_num_threads(given["threads"])
    device = (processes or ALONE).device(given.get("device", "auto"))
    pretrained = load_model(given["model"], device)
    trained = pretrained.config.data
    data = scored_data(trained)
    if options.get("data", {}).get("dataset", trained.dataset) != trained.dataset:
        data = replace(data, split_by=None, split="val", pixels="auto", expression_field=None)
    config = changed(replace(pretrained.config, data=data), options)
    check_drawn("pixels" in options.get("data", {}), config.data)
    note_idle(config, flatten(options))
    if config.data.root is None and cannot_be_drawn(config.data) and config.data.dataset == trained.dataset:
        config = replace(config, data=at_home(config.data, trained))
    check_threshold(options, config.evaluate)
    # Data that state no split are scored whole, but not the part that the model was trained on.
    divided = "split" in options.get("data", {}) or is_same_place(config.data.root, trained.root)
    return ScoredModel(pretrained, open_source(config.data, config.data.split, divided=divided), config, device)


def is_same_place(root: str | None, trained: str | None) -> bool:
    """Whether data lie where those of a training lay."""
    return root is not None and trained is not None and Path(root).resolve() == Path(trained).resolve()


def scored_data(trained: DataConfig) -> DataConfig:
    """The data that a model is scored on where no option says otherwise.

    The folder was the trainer's own, and so were the numbers of images.
    """
    kept = ("dataset", "split_by", "split", "pixels", "expression_field", "same_words", "seed", "held_out")
    return replace(DataConfig(), **{name: getattr(trained, name) for name in kept})


def cannot_be_drawn(data: DataConfig) -> bool:
    """Whether some data set has to be read from a folder."""
    from m3att.data.shaperef.world import VARIANTS

    return any(name.strip() not in VARIANTS for name in data.dataset.split(","))


def at_home(data: DataConfig, trained: DataConfig) -> DataConfig:
    """The data with the folders of a training, where they are on this machine too; a line says so."""
    if trained.root is None or not Path(trained.root).exists():
        return data
    image_root = data.image_root or trained.image_root
    photos = "" if image_root is None else f" --data.image_root {image_root}"
    print(f"note: scored on the training's own --data.root {trained.root}{photos}", file=sys.stderr)
    return replace(data, root=trained.root, image_root=image_root)


def evaluate_command(model: Path, trained: DataConfig) -> str:
    """The command that scores a model on the data that it was validated on, quoted for a shell."""
    words = ["m3att", "evaluate", "--model", str(model)]
    usual = scored_data(trained)
    for key in settings_of(DataConfig, "data"):
        name = key.removeprefix("data.")
        value = getattr(trained, name)
        if key in (*TRAINING_SETTINGS, "data.images") or value == getattr(usual, name):
            continue
        words += [f"--{key}={shown(value)}"] if str(value).startswith("-") else [f"--{key}", shown(value)]
    return shlex.join(words)


def score_model(
    scored: ScoredModel,
    workers: int,
    log: AnswerLog | None = None,
    processes: Processes | None = None,
    keep_evidence: bool = False,
) -> Scores:
    """Score a model with a progress bar.

    Args:
        scored: the model and its data.
        workers: processes that read.
        log: sorts the answers on the way; None: nothing is sorted.
        processes: that score together; None: this one is alone.
        keep_evidence: for a calibration.
    """
    from m3att.engine import evaluate as engine
    from m3att.engine.distributed import ALONE

    pretrained, source, config, device = scored
    with progress_bar("scoring") as progress:
        return engine.evaluate(
            pretrained.network,
            pretrained.tokenizer,
            source,
            config.input,
            config.evaluate,
            config.data,
            workers,
            device,
            progress,
            pretrained.calibration,
            None if log is None else log.watch,
            processes or ALONE,
            keep_evidence,
        )


def score_floor(options: Mapping[str, Any]) -> Scores:
    """Score the largest object of each image."""
    from m3att.data.open import open_source
    from m3att.engine.evaluate import evaluate_largest

    config = changed(RunConfig(), options)
    check_drawn("pixels" in options.get("data", {}), config.data)
    note_idle(config, flatten(options))
    check_threshold(options, config.evaluate)
    source = open_source(config.data, config.data.split, divided="split" in options.get("data", {}))
    with progress_bar("scoring") as progress:
        return evaluate_largest(source, config.input, config.evaluate, config.data, progress)


def check_threshold(options: Mapping[str, Any], config: EvaluateConfig) -> None:
    """Refuse a threshold that the protocol would not look at.

    Raises:
        ConfigError: names the protocol and its own threshold.
    """
    if "threshold" in options.get("evaluate", {}) and config.protocol not in ("original", "all"):
        own = PROTOCOLS[config.protocol].threshold
        raise ConfigError(
            f"evaluate.threshold: protocol {config.protocol} has its own, {own:g}; "
            "leave the threshold out, or give --protocol original"
        )
