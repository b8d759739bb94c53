"""The table of encoders: what kind each is, what builds it, which settings are its own, and what fills it.

Settings are checked before PyTorch is loaded, so a row names what builds and fills an encoder, and that is imported on
first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any, Literal

from m3att.config import LanguageConfig, ModelConfig, TrainConfig, VisionConfig
from m3att.errors import ConfigError

Named = str | Callable[..., Any]


@dataclass(frozen=True)
class Encoder:
    """A row of the table.

    Args:
        kind: `fresh` encoders learn from fresh weights as a rule, `pretrained` ones start from public weights, and
            those of the library `transformers` do so too and have an architecture that a model folder keeps.
        build: what builds it, as `module:name`. A backbone gets the row's settings and arguments by name; a text
            encoder gets what `m3att.model.build` gives to both.
        weights: an example of public weights, as the setting `weights` takes them; None: there are none.
        settings: settings of its half of the network that only some encoders read, and this is one of them.
        fill: what fills it with public weights, as `module:name`; None: there are none, and only the backbone of a
            model can be taken over.
        arguments: of `build`, beside the settings.
    """

    kind: Literal["fresh", "pretrained", "transformers"]
    build: Named
    weights: str | None = None
    settings: tuple[str, ...] = ()
    fill: Named | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def lite(size: str) -> Encoder:
    """The row of an EfficientNet-Lite of that size."""
    return Encoder(
        "pretrained",
        "m3att.model.vision.efficientnet_lite:build",
        "imagenet",
        ("map_strides",),
        "m3att.weights.start:fill_efficientnet_lite",
        {"size": size},
    )


VISION: dict[str, Encoder] = {
    "tiny": Encoder("fresh", "m3att.model.vision.tiny:TinyConvNet", settings=("widths", "blocks")),
    "darknet53": Encoder(
        "pretrained",
        "m3att.model.vision.darknet53:Darknet53",
        "darknet53.conv.74",
        fill="m3att.weights.start:fill_darknet53",
    ),
    "efficientnet-lite0": lite("lite0"),
    "efficientnet-lite1": lite("lite1"),
    "efficientnet-lite2": lite("lite2"),
    "huggingface": Encoder(
        "transformers",
        "m3att.model.vision.auto_backbone:build",
        "microsoft/swin-tiny-patch4-window7-224",
        ("architecture",),
        "m3att.weights.start:fill_vision_transformers",
    ),
}
LANGUAGE: dict[str, Encoder] = {
    "birnn": Encoder(
        "fresh",
        "m3att.model.build:build_birnn",
        "glove.6B.300d.txt",
        ("rnn", "word_channels"),
        "m3att.weights.start:fill_birnn",
    ),
    "huggingface": Encoder(
        "transformers",
        "m3att.model.build:build_text_transformer",
        "google-bert/bert-base-uncased",
        ("architecture",),
        "m3att.weights.start:fill_text_transformers",
    ),
}


def named(place: Named) -> Callable[..., Any]:
    """What a row names as `module:name`; what is no text is that itself."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


@dataclass(frozen=True)
class Half:
    """The encoder of one half of a network: its settings and its row of the table.

    Args:
        name: `vision` or `language`.
        settings: of the half.
        encoder: the row.
        table: that the row is of.
    """

    name: Literal["vision", "language"]
    settings: VisionConfig | LanguageConfig
    encoder: Encoder
    table: dict[str, Encoder]

    @property
    def starts_fresh(self) -> bool:
        """Whether it starts from fresh weights where public ones are the rule."""
        return self.settings.weights is None and self.encoder.kind != "fresh"

    @property
    def freezes_nothing(self) -> bool:
        """Whether it, or a part of it, would be frozen without the public weights that there are."""
        return bool(self.frozen) and self.settings.weights is None and self.encoder.weights is not None

    @property
    def frozen(self) -> str:
        """The first setting that keeps something of it fixed; empty where all of it learns."""
        return next((name for name in FREEZING if getattr(self.settings, name, False)), "")


FREEZING = ("freeze", "freeze_layers", "freeze_norm")
"""The settings of a half that keep its weights, or some of them, as they are."""
PARTS = {"vision": "vision.backbone", "language": "language"}
"""The parts of the network that are the encoders, by their halves."""
HALVES = tuple(PARTS)


def covers(pattern: str, part: str) -> bool:
    """Whether a pattern of `TrainConfig.fresh` names a part of the network as a whole, or what it lies in."""
    names = part.split(".")
    return any(fnmatchcase(".".join(names[:length]), pattern) for length in range(1, len(names) + 1))


def fresh_halves(train: TrainConfig) -> tuple[str, ...]:
    """The halves whose encoders are filled by their own weights: both of them, or those that `train.init` leaves."""
    if train.init is None:
        return HALVES
    return tuple(half for half, part in PARTS.items() if any(covers(pattern, part) for pattern in train.fresh))


def halves_of(model: ModelConfig) -> tuple[Half, Half]:
    """The encoders of vision and language.

    Raises:
        ConfigError: where there is no encoder of that name.
    """
    vision, language = model.vision, model.language
    return (
        Half("vision", vision, find_encoder("vision", VISION, vision.encoder), VISION),
        Half("language", language, find_encoder("language", LANGUAGE, language.encoder), LANGUAGE),
    )


def find_encoder(half: str, table: dict[str, Encoder], name: str) -> Encoder:
    """The row of an encoder.

    Args:
        half: `vision` or `language`, for the message.
        table: of that half.
        name: of the encoder.

    Raises:
        ConfigError: where there is none of that name.
    """
    if name not in table:
        raise ConfigError(f"model.{half}.encoder: no {name!r}; there are {', '.join(table)}")
    return table[name]
