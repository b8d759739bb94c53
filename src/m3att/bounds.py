"""The allowed range of each setting, and the settings that must fit together for a network and a run."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from m3att.config import ModelConfig, RunConfig, TrainConfig
from m3att.encoders import VISION, halves_of
from m3att.errors import ConfigError

ANY = 1e12  # finite, so that infinity is out of range


class Range(NamedTuple):
    """The range of a number.

    Args:
        low: the smallest value.
        high: the largest value.
        above: the number must be larger than ``low``.
        below: the number must be smaller than ``high``.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: object) -> bool:
        """Whether a number is in the range; NaN is in none."""
        if not isinstance(value, int | float):
            return False
        over = value > self.low if self.above else value >= self.low
        return over and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        """The range in words, with both ends: who gives 1e30 must learn that the limit is 1e12."""
        low, high = (f"{end:g}".replace("e+0", "e").replace("e+", "e") for end in (self.low, self.high))
        to = "up to, but not including," if self.below else "to"
        return f"{'more than ' if self.above else ''}{low} {to} {high}"


# The range of each number that has one beside its type. What uses the number works at both ends; a test holds it.
RANGES: dict[str, Range] = {
    **dict.fromkeys(
        (
            "model.language.word_minimum", "data.per_image", "train.steps", "train.log_every", "train.validate_every",
            "train.save_every", "train.keep_last",
        ),
        Range(1, ANY),
    ),
    **dict.fromkeys(("data.images", "train.validate_images"), Range(1, 10**9)),  # of which ShapeRef draws as many
    # Larger than any real network, but small enough that a typing error is refused at once.
    **dict.fromkeys(
        ("model.channels", "model.language.word_channels", "model.mask.channels", "model.mask.skip_channels"),
        Range(1, 16_384),
    ),
    **dict.fromkeys(
        (
            "model.decoder.layers", "model.decoder.mutual_heads", "model.decoder.heads", "model.decoder.feedforward",
            "model.mask.narrowing", "model.mask.maps_per_word", "model.mask.unit_convolutions",
        ),
        Range(1, 256),
    ),
    **dict.fromkeys(("train.batch_size", "evaluate.batch_size"), Range(1, 65_536)),
    "data.held_out": Range(0, 1, below=True),
    **dict.fromkeys(("train.threads", "train.accumulate"), Range(1, 1024)),
    "train.workers": Range(0, 256),
    "model.word_limit": Range(1, 4096),
    **dict.fromkeys(("model.vision.encoder_layers", "model.vision.freeze_layers"), Range(0, 256)),
    "model.mask.upsamplings": Range(0, 8),
    **dict.fromkeys(
        (
            "data.seed", "data.fault_limit",
            "train.learning_rate", "train.weight_decay", "train.warmup", "train.clip",
            "train.mask_weight", "train.reconstruction_weight", "train.dice_weight", "train.category_weight",
            "train.attention_weight", "train.box_weight", "train.ranking_weight",
            "train.pretrained_rate", "train.seed", "train.keep_every", "train.bad_steps",
            "train.patience", "train.tracked_images",
        ),
        Range(0, ANY),
    ),
    "train.epochs": Range(0, ANY, above=True),  # of no pass at all one step would come
    **dict.fromkeys(("model.language.word_dropout", "model.decoder.dropout"), Range(0, 1)),
    # Nearer to 1 the epoch that they fill would have no end.
    **dict.fromkeys(("data.beside_share", "data.old_share"), Range(0, 0.99, above=True)),
    "data.crop": Range(0, 1, above=True),
    "data.jitter": Range(0, 1),
    "data.collage_side": Range(16, 2048),
    "evaluate.threshold": Range(0, 1, below=True),  # no probability is over 1, so every mask would be empty
    "train.fall": Range(1e-6, 1),
    "train.focal_gamma": Range(0, 10),
    "train.layer_decay": Range(0, 1, above=True),
    "train.ema": Range(0, 1, below=True),  # at 1 the average would never move
    **dict.fromkeys(("input.size", "model.grid_size"), Range(8, 4096)),
}  # fmt: skip
TRACKERS = ("tensorboard", "wandb", "mlflow")  # engine/trackers.py opens them
MAP_STRIDES = (2, 4, 8, 16, 32)
WIDTHS, BLOCKS = Range(1, 16_384), Range(0, 256)  # of each stage of the tiny backbone


def check_range(key: str, value: float) -> None:
    """Refuse a number that is out of range.

    Args:
        key: dotted name of the setting.
        value: what it is to be; NaN is out of every range.

    Raises:
        ConfigError: names the setting and its range.
    """
    allowed = RANGES.get(key, Range(-ANY, ANY))
    if value not in allowed:
        raise ConfigError(f"{key}: {value} is out of range, give {allowed}")


def check_fit(config: RunConfig) -> None:
    """Refuse settings that are allowed one by one but do not fit together.

    Raises:
        ConfigError: names them.
    """
    check_plan(config.train, config.input.size)
    check_encoders(config.model)
    model, vision, mask = config.model, config.model.vision, config.model.mask
    for what, heads in (("heads", model.decoder.heads), ("mutual_heads", model.decoder.mutual_heads)):
        if model.channels % heads:
            raise ConfigError(f"model.channels: {model.channels} is no multiple of model.decoder.{what} {heads}")
    if model.channels % 4:
        raise ConfigError(f"model.channels: {model.channels} is no multiple of 4, as the positional encoding needs")
    if mask.channels < mask.narrowing**mask.upsamplings:
        raise ConfigError(
            f"model.mask.channels: {mask.channels} cannot narrow {mask.upsamplings} times by {mask.narrowing}"
        )
    attention = model.decoder.attention
    if config.train.attention_weight and attention in ("val", "vision_query"):
        raise ConfigError(f"train.attention_weight: model.decoder.attention {attention} does not attend to positions")
    if attention == "vision_query" and model.decoder.interaction == "constant":
        raise ConfigError(
            "model.decoder.interaction: constant adds the words to the rows of F_dec, but with "
            "model.decoder.attention vision_query these are positions"
        )
    if {"widths", "blocks"} <= set(VISION[vision.encoder].settings):
        if not vision.widths or len(vision.widths) != len(vision.blocks):
            raise ConfigError(
                f"model.vision: widths {list(vision.widths)} and blocks {list(vision.blocks)}; give one of each a stage"
            )
        for key, values, allowed in (("widths", vision.widths, WIDTHS), ("blocks", vision.blocks, BLOCKS)):
            if any(value not in allowed for value in values):
                raise ConfigError(f"model.vision.{key}: {list(values)} is out of range, give {allowed} for each stage")
        smallest = 2 ** len(vision.widths)
        if config.input.size < smallest:
            raise ConfigError(
                f"input.size: {config.input.size} is too small: the backbone halves it {len(vision.widths)} times"
            )
        if min(config.train.early_sizes, default=smallest) < smallest:
            early = list(config.train.early_sizes)
            raise ConfigError(
                f"train.early_sizes: {early} is too small: the backbone halves it {len(vision.widths)} times"
            )


def check_plan(train: TrainConfig, largest: int) -> None:
    """Refuse phases of a run that do not follow each other.

    Raises:
        ConfigError: names the setting.
    """
    sizes, ends = train.early_sizes, train.early_steps
    if len(sizes) != len(ends):
        raise ConfigError(f"train.early_sizes {list(sizes)}, train.early_steps {list(ends)}: give one of each a phase")
    if any(not 8 <= size <= largest for size in sizes):
        raise ConfigError(
            f"train.early_sizes: {list(sizes)} is out of range, give 8 to input.size {largest}; "
            "for one size throughout give train.early_sizes '[]' and train.early_steps '[]'"
        )
    unknown = [name for name in train.trackers if name not in TRACKERS]
    if unknown or len(set(train.trackers)) < len(train.trackers):
        raise ConfigError(f"train.trackers: {list(train.trackers)}; give some of {', '.join(TRACKERS)}, each once")
    if train.shard and train.optimizer == "muon":
        raise ConfigError("train.shard: muon needs whole matrices; give train.optimizer adamw or adam")
    if train.shard and train.ema:
        raise ConfigError("train.shard: no moving average is kept of divided weights; give train.ema 0")
    if train.fresh and train.init is None:
        raise ConfigError("train.fresh: needs train.init; without it, every part starts from fresh weights")
    for key, steps in (("early_steps", ends), ("restarts", train.restarts)):
        if list(steps) != sorted(set(steps)) or min(steps, default=1) < 1:
            raise ConfigError(f"train.{key}: {list(steps)} do not rise from 1 or more")


def check_encoders(model: ModelConfig) -> None:
    """Refuse encoders that do not exist, what only another encoder has, and architectures that nothing names.

    Raises:
        ConfigError: names the setting.
    """
    for half in halves_of(model):
        name, settings = half.settings.encoder, half.encoder.settings
        missing = [key for key in settings if not hasattr(half.settings, key)]
        if missing:
            raise ConfigError(
                f"model.{half.name}.encoder: the row {name} names the setting {missing[0]}, which "
                f"{type(half.settings).__name__} in src/m3att/config does not have; add a field with a default there"
            )
        for key in ("architecture", "map_strides"):  # empty by default
            value = getattr(half.settings, key, None)
            if value and key not in settings:
                others = ", ".join(other for other, row in half.table.items() if key in row.settings)
                raise ConfigError(
                    f"model.{half.name}.{key}: {name} has none; it is a setting of {others}. "
                    f"Leave it out, or choose another model.{half.name}.encoder"
                )
        if half.encoder.kind == "transformers" and half.settings.architecture is None and half.settings.weights is None:
            raise ConfigError(f"model.{half.name}: the encoder {name} needs weights, an architecture or both")
    skips = model.mask.skip_strides
    if len(set(skips)) < len(skips) or any(stride not in MAP_STRIDES for stride in skips):
        raise ConfigError(
            f"model.mask.skip_strides: {list(skips)}; give some of {', '.join(map(str, MAP_STRIDES))}, each once"
        )
    strides = model.vision.map_strides
    doubled = all(coarse == 2 * fine for fine, coarse in pairwise(strides))
    if not doubled or any(stride not in MAP_STRIDES for stride in strides):
        raise ConfigError(
            f"model.vision.map_strides: {list(strides)}; give some of {', '.join(map(str, MAP_STRIDES))} in a row"
        )
