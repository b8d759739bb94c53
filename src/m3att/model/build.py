"""Builds the network that a ModelConfig describes. No other file in ``model`` reads settings."""

from __future__ import annotations

from torch import nn

from m3att.config import LanguageConfig, ModelConfig, VisionConfig
from m3att.errors import ConfigError
from m3att.model.huggingface import Architecture, Architectures
from m3att.model.imi import IMI
from m3att.model.language.birnn import BiRNN
from m3att.model.language.contract import LanguageEncoder
from m3att.model.language.huggingface import FRESH_IDS, HuggingFaceEncoder
from m3att.model.language.huggingface import find_architecture as text_architecture
from m3att.model.lfr import LFR
from m3att.model.m3att import M3Att
from m3att.model.m3dec import M3Dec, M3DecLayer
from m3att.model.mask_decoder import MaskDecoder
from m3att.model.network import M3AttNet
from m3att.model.vision.contract import VisionBackbone
from m3att.model.vision.darknet53 import Darknet53
from m3att.model.vision.efficientnet_lite import DEFAULT_STRIDES, EfficientNetLite
from m3att.model.vision.encoder import VisionEncoder
from m3att.model.vision.huggingface import HuggingFaceBackbone
from m3att.model.vision.huggingface import find_architecture as vision_architecture
from m3att.model.vision.merge import choose_grid
from m3att.model.vision.tiny import TinyConvNet


def build_tiny(config: VisionConfig) -> VisionBackbone:
    """The small conv net."""
    return TinyConvNet(config.widths, config.blocks)


def build_darknet53(config: VisionConfig) -> VisionBackbone:
    """Darknet-53; its public weights come later, from `m3att.weights`."""
    return Darknet53()


def build_efficientnet_lite(config: VisionConfig) -> VisionBackbone:
    """EfficientNet-Lite of the size that the encoder's name ends with; its public weights come later."""
    return EfficientNetLite(config.encoder.removeprefix("efficientnet-"), config.map_strides or DEFAULT_STRIDES)


def build_vision_transformers(config: VisionConfig) -> VisionBackbone:
    """A backbone of the library transformers, known by name."""
    return HuggingFaceBackbone(vision_architecture(config.architecture))


def build_text_transformers(config: LanguageConfig, channels: int, words: int) -> LanguageEncoder:
    """A text encoder of the library transformers, known by name, over a vocabulary of this project's own.

    Args:
        config: says which encoder.
        channels: C of its word features.
        words: of the vocabulary.
    """
    architecture = {**text_architecture(config.architecture), **FRESH_IDS, "vocab_size": words}
    return HuggingFaceEncoder(architecture, channels, config.word_dropout, config.freeze)


def build_birnn(config: LanguageConfig, channels: int, words: int) -> LanguageEncoder:
    """The bidirectional recurrent net over ``words`` word vectors.

    Args:
        config: sizes and cell.
        channels: C of its word features.
        words: of the vocabulary.
    """
    return BiRNN(words, config.word_channels, channels, config.rnn, config.word_dropout, freeze=config.freeze)


VISION = {
    "tiny": build_tiny,
    "darknet53": build_darknet53,
    "efficientnet-lite0": build_efficientnet_lite,
    "efficientnet-lite1": build_efficientnet_lite,
    "efficientnet-lite2": build_efficientnet_lite,
    "huggingface": build_vision_transformers,
}
LANGUAGE = {"birnn": build_birnn, "huggingface": build_text_transformers}


def build_vision(config: VisionConfig, architecture: Architecture | None) -> VisionBackbone:
    """The vision backbone, of its architecture where it has one and one is given."""
    if config.encoder != "huggingface" or architecture is None:
        return VISION[config.encoder](config)
    return HuggingFaceBackbone(architecture)


def build_language(config: ModelConfig, words: int, architecture: Architecture | None) -> LanguageEncoder:
    """The language encoder, of its architecture where it has one and one is given.

    Args:
        config: of the network.
        words: of the vocabulary.
        architecture: of an encoder of transformers; None: as the settings say.

    Raises:
        ConfigError: where the encoder cannot read as many words, or does not know as many.
    """
    if config.language.encoder != "huggingface" or architecture is None:
        language = LANGUAGE[config.language.encoder](config.language, config.channels, words)
    else:
        if words > architecture["vocab_size"]:
            raise ConfigError(f"the tokenizer has {words} words, its encoder only {architecture['vocab_size']}")
        settings = config.language
        language = HuggingFaceEncoder(architecture, config.channels, settings.word_dropout, settings.freeze)
    if isinstance(language, HuggingFaceEncoder) and config.word_limit > language.word_limit:
        raise ConfigError(f"model.word_limit: {config.word_limit}; the encoder reads {language.word_limit} at most")
    return language


def build_network(
    config: ModelConfig,
    input_size: int,
    words: int,
    categories: int = 0,
    architectures: Architectures = Architectures(),  # noqa: B008 (it is frozen)
) -> M3AttNet:
    """The network with fresh weights.

    Args:
        config: what to build.
        input_size: side of the square input in pixels. It decides the trained grid if the config does not.
        words: size of the tokenizer's vocabulary.
        categories: classes of the category head, if the training has a category loss; otherwise 0.
        architectures: architectures of transformers encoders that have no name in the settings.

    Returns:
        The network, in training mode, on the CPU.

    Raises:
        ConfigError: where settings do not fit the encoders.
    """
    backbone = build_vision(config.vision, architectures.vision)
    try:
        stride = backbone.strides[choose_grid(backbone.strides, config.vision.grid_stride)]
    except ValueError as error:
        raise ConfigError(f"model.vision.grid_stride: {error}") from error
    side = -(-(config.grid_size or input_size) // stride)
    grid, channels, decoder = (side, side), config.channels, config.decoder
    vision = VisionEncoder(
        backbone=backbone,
        channels=channels,
        grid=grid,
        layers=config.vision.encoder_layers,
        heads=decoder.heads,
        feedforward=decoder.feedforward,
        dropout=decoder.dropout,
        freeze=config.vision.freeze,
        early_fusion=config.vision.early_fusion,
        stride=stride,
    )
    # The parts that all rows of an ablation table share are built first, so that they start alike with the same seed.
    language = build_language(config, words, architectures.language)
    category_head = nn.Linear(channels, categories) if categories else None
    mask = config.mask
    mask_decoder = MaskDecoder(
        channels,
        config.word_limit,
        grid,
        mask.kind,
        mask.channels,
        mask.upsamplings,
        mask.kernel,
        mask.maps_per_word,
        mask.narrowing,
        decoder.heads,
    )
    layers = [
        M3DecLayer(
            M3Att(
                channels,
                grid,
                decoder.attention,
                decoder.mutual_heads,
                decoder.projection_norm,
                decoder.fusion_norm,
                decoder.fusion_vision,
            ),
            channels,
            decoder.heads,
            decoder.feedforward,
            decoder.dropout,
        )
        for _ in range(decoder.layers)
    ]
    interactions = (
        [IMI(channels, constant=decoder.interaction == "constant", injection=decoder.injection) for _ in layers[1:]]
        if decoder.interaction != "none"
        else []
    )
    lfr = LFR(channels, decoder.reconstruction_stop_gradient) if decoder.reconstruction else None
    filled_words = None if config.mask_padding else config.word_limit
    return M3AttNet(vision, language, M3Dec(layers, interactions), mask_decoder, lfr, category_head, filled_words)
