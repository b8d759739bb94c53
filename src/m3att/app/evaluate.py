"""`m3att evaluate`: scores a model, or a simple baseline, on a split.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from m3att import __version__
from m3att.app.calibrate import calibrate, check_calibrate
from m3att.app.console import probe_file, progress_bar, show, write_json
from m3att.bounds import RANGES
from m3att.config import DataConfig, EvaluateConfig, RunConfig
from m3att.effects import shown
from m3att.errors import ConfigError, DataError
from m3att.protocols import PROTOCOLS
from m3att.settings import SettingsParser, add_settings, changed, settings_of

if TYPE_CHECKING:
    import torch

    from m3att.data.source import Source
    from m3att.engine.scores import Scores
    from m3att.pretrained import Pretrained
    from m3att.report.answers import AnswerLog

GALLERY_SIZE = 12
TRAINING_SETTINGS = (
    "data.sentences",
    "data.grouped",
    "data.per_image",
    "data.flip",
    "data.beside",
    "data.beside_share",
)


def evaluate(words: Sequence[str], prog: str) -> int:
    """`m3att evaluate`: exit code 1 where expressions were left out.

    Raises:
        ConfigError: where options contradict each other.
        DataError: where not one expression could be scored.
    """
    parser = SettingsParser(
        prog,
        description="Score a model, or a simple baseline, on a split: overall IoU, mean IoU, Pr@0.5 to 0.9, by skill. "
        "Data and protocol are those of the model's training unless an option changes them.",
        usage=f"{prog} --model MODEL | --floor largest [--data.root ROOT] [--data.split SPLIT] [OPTION ...]",
    )
    parser.add_argument("--model", type=str, help="a bundled model, a folder or a Hub id")
    parser.add_argument(
        "--floor", type=str, metavar="largest", help="instead of a model, answer with the largest object of each image"
    )
    parser.add_argument(
        "--json", type=str, metavar="FILE", help="also write the figures to this file, as fractions in [0, 1]"
    )
    parser.add_argument(
        "--answers", type=str, metavar="FILE", help="also write a line of JSON for each expression: IoU, score, kind"
    )
    parser.add_argument(
        "--gallery", type=str, metavar="FILE", help="draw examples of right and wrong answers into this PNG"
    )
    parser.add_argument(
        "--gallery-size", type=int, default=GALLERY_SIZE, metavar="N", help="most examples; half of them are right"
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="fit the scores that `predict` gives to the IoU found here, and store the fit in the model's folder",
    )
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda or auto")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that read the data; 0: this process reads them"
    )
    parser.add_argument("--threads", type=int | None, help="CPU threads")
    add_settings(parser, DataConfig, "data", skip=TRAINING_SETTINGS)
    add_settings(parser, EvaluateConfig, "evaluate")
    parser.add_argument(
        "--protocol", type=get_type_hints(EvaluateConfig)["protocol"], help="short for --evaluate.protocol"
    )
    given = parser.parse_args(words, defaults=False).as_dict()
    options: dict[str, Any] = {name: given[name] for name in ("data", "evaluate") if name in given}
    if "protocol" in given:
        if options.get("evaluate", {}).get("protocol", given["protocol"]) != given["protocol"]:
            parser.error("--protocol is short for --evaluate.protocol: give one of them")
        options["evaluate"] = {**options.get("evaluate", {}), "protocol": given["protocol"]}
    changed(RunConfig(), options)  # wrong options are reported before a model is loaded
    if ("model" in given) == ("floor" in given):
        parser.error("give either --model (`bundled` is the default one) or --floor largest")
    if given.get("floor", "largest") != "largest":
        parser.error(f"no floor {given['floor']!r}; there is largest")
    for option in ("workers", "threads"):
        allowed = RANGES[f"train.{option}"]
        if given.get(option) is not None and given[option] not in allowed:
            parser.error(f"--{option}: {given[option]} is out of range, give {allowed}")
    idle = [option for option in ("device", "workers", "threads") if option in given and "floor" in given]
    if idle:
        parser.error(f"--{idle[0]} has no effect on a floor, which no network makes: leave it out")
    if "answers" in given and "floor" in given:
        parser.error("--answers sorts what a model answers, a floor has nothing to sort: give --model")
    check_gallery(given)
    if given.get("calibrate"):
        check_calibrate(given)
    for option in ("json", "answers", "gallery"):
        if option in given:
            probe_file(Path(given[option]), f"--{option}")

    from m3att.report.answers import AnswerLog, write_answers
    from m3att.report.tables import (
        PROTOCOLS_NOTE,
        boxes_table,
        protocols_table,
        reliability_line,
        reliability_table,
        scores_heading,
        scores_table,
        skills_table,
    )

    scored = None if "floor" in given else open_model(given, options)
    # Identifies the weights later. It is computed now, because the file may be gone at the end.
    weights = None if scored is None else scored.pretrained.weights_sha256()
    log = None if scored is None or "answers" not in given else AnswerLog(scored.source)
    scores = score_floor(options) if scored is None else score_model(scored, given.get("workers", 0), log)
    if not scores.expressions and not scores.boxes:
        reason = scores.left_out[0].reason if scores.left_out else "there is none"
        raise DataError(f"not one expression could be scored: {reason}")
    found = {**scores.to_dict(), "model": given.get("model"), "weights_sha256": weights, "version": __version__}
    print(scores_heading(found))
    if scores.expressions:
        if len(found["protocols"]) > 1:
            show(protocols_table(found))
            print(f"{PROTOCOLS_NOTE}\n\nunder original, by threshold:")
        show(scores_table(found))
    boxes = boxes_table(found)
    if boxes is not None:
        at = "" if "floor" in found else f", at threshold {found['boxes']['threshold']:g}"
        print(f"\nexpressions whose referents have a box and no mask{at}:")
        show(boxes)
    skills = skills_table(found)
    if skills is not None:
        print("\nby skill:" if "floor" in found else f"\nby skill, at threshold {found['threshold']:g}:")
        show(skills)
    reliability = reliability_table(found["reliability"]) if "reliability" in found else None
    if reliability is not None:
        print(f"\n{reliability_line(found)}")
        show(reliability)
    for reason in found["left_out"]["reasons"]:
        print(f"left out: {reason}")
    for note in () if scored is None else scored.source.notes:
        print(f"note: {note}")
    # Files last: should one not be written, the figures are out.
    if "json" in given:
        write_json(Path(given["json"]), found)
    if log is not None:
        write_answers(Path(given["answers"]), log.answers(scores))
    if scored is not None and "gallery" in given:
        write_gallery(Path(given["gallery"]), given.get("gallery_size", GALLERY_SIZE), scored, scores)
    if scored is not None and given.get("calibrate"):
        found["calibration"] = calibrate(scored.pretrained, scores)
        if "json" in given:
            write_json(Path(given["json"]), found)
    return 1 if scores.left_out else 0


def check_gallery(given: Mapping[str, Any]) -> None:
    """Refuse a gallery that cannot be drawn before hours of scoring.

    Raises:
        ConfigError: what is wrong with it.
    """
    if "gallery" not in given:
        if "gallery_size" in given:
            raise ConfigError("--gallery-size needs --gallery FILE")
        return
    if "floor" in given:
        raise ConfigError("--gallery shows the masks of a model, and --floor has none: give --model")
    if Path(given["gallery"]).suffix.lower() != ".png":
        raise ConfigError(f"--gallery {given['gallery']}: is written as PNG, so give a name that ends in .png")
    if given.get("gallery_size", GALLERY_SIZE) < 2:
        raise ConfigError("--gallery-size: give 2 or more, for one right and one wrong answer")


def write_gallery(path: Path, size: int, scored: ScoredModel, scores: Scores) -> None:
    """Draw right and wrong examples to a file, in one step; its folder is made where it is missing.

    Args:
        path: of the picture.
        size: most examples.
        scored: the model and its data.
        scores: of all expressions.
    """
    from m3att.files import replace_file
    from m3att.report.examples import examples_sheet

    sheet = examples_sheet(scored.pretrained, scored.source, scored.config, scores, size, scored.device)
    content = BytesIO()
    sheet.save(content, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content.getvalue())
    print(f"examples: {path}")


class ScoredModel(NamedTuple):
    """What `evaluate --model` scores: the model, on what, and how."""

    pretrained: Pretrained
    source: Source
    config: RunConfig
    device: torch.device


def open_model(given: Mapping[str, Any], options: Mapping[str, Any]) -> ScoredModel:
    """The model that ``--model`` names and what it is scored on; what no option says comes from its training."""
    import torch

    from m3att.data.open import open_source
    from m3att.device import choose_device
    from m3att.pretrained import load_model

    if given.get("threads"):
        torch.set_num_threads(given["threads"])
    device = choose_device(given.get("device", "auto"))
    pretrained = load_model(given["model"], device)
    trained = pretrained.config.data
    data = scored_data(trained)
    if options.get("data", {}).get("dataset", trained.dataset) != trained.dataset:
        data = replace(data, split_by=None, split="val", pixels="auto", expression_field=None)
    config = changed(replace(pretrained.config, data=data), options)
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


def score_model(scored: ScoredModel, workers: int, log: AnswerLog | None = None) -> Scores:
    """Score a model with a progress bar.

    Args:
        scored: the model and its data.
        workers: processes that read.
        log: sorts the answers on the way; None: nothing is sorted.
    """
    from m3att.engine import evaluate as engine

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
        )


def score_floor(options: Mapping[str, Any]) -> Scores:
    """Score the largest object of each image."""
    from m3att.data.open import open_source
    from m3att.engine.evaluate import evaluate_largest

    config = changed(RunConfig(), options)
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
