"""Fills a fresh network with the pretrained weights that its settings name, before a training starts.

The folder of a trained model holds all of its weights, so nothing here is needed to use it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import torch
from torch import nn

from m3att.config import LanguageConfig, ModelConfig, VisionConfig
from m3att.data.text import Tokenizer
from m3att.encoders import HALVES, LANGUAGE, VISION, halves_of, named
from m3att.errors import ConfigError
from m3att.model.language.birnn import BiRNN
from m3att.model.language.contract import LanguageEncoder
from m3att.model.language.text_transformer import HuggingFaceEncoder
from m3att.model.network import M3AttNet
from m3att.model.vision.auto_backbone import HuggingFaceBackbone
from m3att.model.vision.contract import VisionBackbone
from m3att.model.vision.darknet53 import Darknet53
from m3att.model.vision.efficientnet_lite import EfficientNetLite
from m3att.model_folder import fill_backbone
from m3att.weights import efficientnet, transformers_checkpoint
from m3att.weights.darknet import fill_trunk
from m3att.weights.glove import read_vectors


def start_tokenizer(config: ModelConfig, texts: Callable[[], Iterable[str]]) -> Tokenizer:
    """The tokenizer of a network that starts: that of its pretrained text encoder, or one of the training's words.

    Args:
        config: of the network.
        texts: gives the training's expressions, where they are needed.

    Raises:
        ModelError: where the text encoder's tokenizer cannot be had.
    """
    framed = halves_of(config)[1].encoder.kind == "transformers"
    if framed and config.language.weights is not None:
        return transformers_checkpoint.read_tokenizer(config.language.weights, config.word_limit)
    return Tokenizer.from_texts(texts(), config.word_limit, config.language.word_minimum, framed)


def require_weights(config: ModelConfig, halves: Collection[str] = HALVES) -> None:
    """Refuse to freeze fresh weights. Only the tiny backbone may be frozen so, as a choice of random features.

    Args:
        config: of the network.
        halves: those that are not filled by a model.

    Raises:
        ConfigError: names the setting.
    """
    for half in halves_of(config):
        if half.name in halves and half.freezes_nothing:
            free = "0" if half.frozen == "freeze_layers" else "false"
            raise ConfigError(
                f"model.{half.name}.{half.frozen}: {half.settings.encoder} has nothing pretrained to keep; give "
                f"--model.{half.name}.weights, such as {half.encoder.weights}, or --model.{half.name}.{half.frozen} "
                f"{free}"
            )


def fill_pretrained(
    network: M3AttNet, tokenizer: Tokenizer, config: ModelConfig, halves: Collection[str] = HALVES
) -> None:
    """Fill the encoders whose settings name pretrained weights.

    Args:
        network: fresh, built of ``config``.
        tokenizer: its words.
        config: ``vision.weights`` and ``language.weights`` say what to load.
        halves: those to fill.

    Raises:
        ConfigError: where weights do not fit the encoder's settings, or what starts from nothing is to be frozen.
        ModelError: where a file is missing, broken or of another network.
    """
    require_weights(config, halves)
    if "vision" in halves and config.vision.weights is not None:
        fill = VISION[config.vision.encoder].fill
        (fill_from_model if fill is None else named(fill))(network.vision.backbone, config.vision)
    if "language" in halves and config.language.weights is not None:
        fill = LANGUAGE[config.language.encoder].fill
        assert fill is not None  # every text encoder has public weights
        named(fill)(network.language, tokenizer, config.language)


def fill_from_model(backbone: VisionBackbone, config: VisionConfig) -> None:
    """The backbone of a model that was trained with this package, for encoders without public weights."""
    assert config.weights is not None
    fill_backbone(backbone, config.weights)


def fill_darknet53(backbone: VisionBackbone, config: VisionConfig) -> None:
    """Darknet-53's trunk; its merge stays fresh."""
    assert isinstance(backbone, Darknet53) and config.weights is not None
    fill_trunk(backbone.trunk, config.weights)


def fill_efficientnet_lite(backbone: VisionBackbone, config: VisionConfig) -> None:
    """EfficientNet-Lite, with ImageNet's weights."""
    assert isinstance(backbone, EfficientNetLite) and config.weights is not None
    efficientnet.fill_backbone(backbone, config.weights)


def fill_vision_transformers(backbone: VisionBackbone, config: VisionConfig) -> None:
    """The trunk of a backbone of transformers; its merge stays fresh."""
    assert isinstance(backbone, HuggingFaceBackbone) and config.weights is not None
    transformers_checkpoint.fill_trunk(backbone.trunk, config.weights)


def fill_text_transformers(language: LanguageEncoder, tokenizer: Tokenizer, config: LanguageConfig) -> None:
    """The trunk of a text encoder of transformers; its projections stay fresh.

    Args:
        language: is filled in place.
        tokenizer: its words.
        config: names the weights.
    """
    assert isinstance(language, HuggingFaceEncoder) and config.weights is not None
    transformers_checkpoint.fill_trunk(language.trunk, config.weights)


def fill_birnn(language: LanguageEncoder, tokenizer: Tokenizer, config: LanguageConfig) -> None:
    """Fill the word vectors that the file has; the others start at random, with the same spread.

    Args:
        language: is filled in place.
        tokenizer: its words.
        config: names the file of word vectors.
    """
    assert isinstance(language, BiRNN) and config.weights is not None
    vocabulary: dict[str, int] = tokenizer.tokenizer.get_vocab()
    vectors_VD, found_V = read_vectors(Path(config.weights).expanduser(), vocabulary, config.word_channels)
    with torch.no_grad():
        weight_VD = language.word_vectors.weight
        weight_VD.mul_(vectors_VD[found_V].std()).masked_scatter_(found_V.unsqueeze(1), vectors_VD[found_V])
    if language.freeze:
        language.fixed_words.copy_(found_V)


def pretrained_parts(network: M3AttNet, config: ModelConfig) -> list[nn.Module]:
    """The encoders that pretrained weights filled, for a learning rate of their own; word vectors are no encoder."""
    parts: list[nn.Module] = []
    if config.vision.weights is not None:
        parts.append(network.vision.backbone)
    trunk = getattr(network.language, "trunk", None)
    if config.language.weights is not None and isinstance(trunk, nn.Module):
        parts.append(trunk)
    return parts
