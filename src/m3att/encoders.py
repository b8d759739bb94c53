"""The table of encoders: what kind each is, which settings are its own, and what its public weights are.

This half of the table is read before PyTorch is loaded. The other half, in `model.build`, says how each is built. What
fills an encoder with public weights stands in `weights.start`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from m3att.config import LanguageConfig, ModelConfig, TrainConfig, VisionConfig
from m3att.errors import ConfigError


@dataclass(frozen=True)
class Encoder:
    """A row of the table.

    Args:
        kind: `fresh` encoders learn from fresh weights as a rule, `pretrained` ones start from public weights, and
            those of the library `transformers` do so too and have an architecture that a model folder keeps.
        weights: an example of public weights, as the setting `weights` takes them; None: there are none.
        settings: settings of its half of the network that only some encoders read, and this is one of them.
    """

    kind: Literal["fresh", "pretrained", "transformers"]
    weights: str | None = None
    settings: tuple[str, ...] = ()


VISION: dict[str, Encoder] = {
    "tiny": Encoder("fresh", settings=("widths", "blocks")),
    "darknet53": Encoder("pretrained", "darknet53.conv.74"),
    "efficientnet-lite0": Encoder("pretrained", "imagenet", ("map_strides",)),
    "efficientnet-lite1": Encoder("pretrained", "imagenet", ("map_strides",)),
    "efficientnet-lite2": Encoder("pretrained", "imagenet", ("map_strides",)),
    "huggingface": Encoder("transformers", "microsoft/swin-tiny-patch4-window7-224", ("architecture",)),
}
LANGUAGE: dict[str, Encoder] = {
    "birnn": Encoder("fresh", "glove.6B.300d.txt", ("rnn", "word_channels")),
    "huggingface": Encoder("transformers", "google-bert/bert-base-uncased", ("architecture",)),
}


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
        """Whether it would be frozen without the public weights that there are."""
        return self.settings.freeze and self.settings.weights is None and self.encoder.weights is not None


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
