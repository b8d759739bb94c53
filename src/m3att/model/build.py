"""Builds the network that a ModelConfig describes. No other file in ``model`` reads settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from m3att.config import ModelConfig, VisionConfig
from m3att.encoders import LANGUAGE, VISION, find_encoder, named
from m3att.errors import ConfigError
from m3att.model.architectures import Architecture, Architectures
from m3att.model.generic import GenericLayer, VisionQueryDec
from m3att.model.grid import Grid
from m3att.model.imi import IMI
from m3att.model.language.birnn import BiRNN
from m3att.model.language.contract import LanguageEncoder
from m3att.model.language.text_transformer import FRESH_IDS, HuggingFaceEncoder
from m3att.model.language.text_transformer import find_architecture as text_architecture
from m3att.model.lfr import LFR
from m3att.model.m3att import M3Att
from m3att.model.m3dec import M3Dec, M3DecLayer
from m3att.model.mask_decoder import MaskDecoder
from m3att.model.network import M3AttNet
from m3att.model.skip import SkipSource
from m3att.model.vision.contract import VisionBackbone, check_backbone
from m3att.model.vision.efficientnet_lite import ALL_STRIDES, DEFAULT_STRIDES
from m3att.model.vision.encoder import VisionEncoder
from m3att.model.vision.merge import choose_grid


def build_backbone(
    config: VisionConfig, architecture: Architecture | None = None, skip_strides: Sequence[int] = ()
) -> VisionBackbone:
    """The backbone that the table of encoders names, with fresh weights.

    Args:
        config: of the vision half.
        architecture: of a backbone of transformers; None: the one that the settings name.
        skip_strides: of maps for the mask decoder, beside those that are merged.

    Raises:
        ConfigError: where there is no such encoder, its settings do not fit it, or it breaks the contract.
    """
    row = find_encoder("vision", VISION, config.encoder)
    settings = {name: getattr(config, name) for name in row.settings}
    if "map_strides" in settings and skip_strides:
        merged = settings["map_strides"] or DEFAULT_STRIDES
        finest = min(*merged, *skip_strides)
        settings["map_strides"] = tuple(stride for stride in ALL_STRIDES if finest <= stride <= merged[-1])
    if architecture is not None:
        settings["architecture"] = architecture
    backbone: VisionBackbone = named(row.build)(**settings, **row.arguments)
    check_backbone(backbone)
    return backbone


def build_birnn(config: ModelConfig, words: int, architecture: Architecture | None) -> LanguageEncoder:
    """The bidirectional recurrent net over word vectors.

    Args:
        config: of the network.
        words: of the vocabulary.
        architecture: not used.
    """
    language = config.language
    return BiRNN(
        words=words,
        word_channels=language.word_channels,
        channels=config.channels,
        rnn=language.rnn,
        word_dropout=language.word_dropout,
        freeze=language.freeze,
    )


def build_text_transformer(config: ModelConfig, words: int, architecture: Architecture | None) -> LanguageEncoder:
    """A text encoder of the library transformers.

    Args:
        config: of the network.
        words: of the vocabulary.
        architecture: of the encoder; None: the one that the settings name, over a vocabulary of this project's own.

    Raises:
        ConfigError: where the encoder cannot read as many words, or does not know as many.
    """
    language = config.language
    if architecture is None:
        architecture = {**text_architecture(language.architecture), **FRESH_IDS, "vocab_size": words}
    if words > architecture["vocab_size"]:
        raise ConfigError(f"the tokenizer has {words} words, its encoder only {architecture['vocab_size']}")
    encoder = HuggingFaceEncoder(
        architecture=architecture,
        channels=config.channels,
        word_dropout=language.word_dropout,
        freeze=language.freeze,
    )
    if config.word_limit > encoder.word_limit:
        raise ConfigError(f"model.word_limit: {config.word_limit}; the encoder reads {encoder.word_limit} at most")
    return encoder


def build_decoder(config: ModelConfig, grid: Grid) -> M3Dec | VisionQueryDec:
    """The decoder layers with the IMI blocks between them.

    Args:
        config: of the network.
        grid: of F_enc at the trained input size.
    """
    decoder, channels = config.decoder, config.channels
    sizes: dict[str, Any] = {
        "channels": channels, "heads": decoder.heads, "feedforward": decoder.feedforward, "dropout": decoder.dropout
    }  # fmt: skip

    def interactions() -> list[IMI]:
        if decoder.interaction == "none":
            return []
        constant = decoder.interaction == "constant"
        return [IMI(channels, constant, decoder.injection, config.norm_everywhere) for _ in range(decoder.layers - 1)]

    if decoder.attention == "vision_query":
        asking = [GenericLayer(grid=grid, query="vision", **sizes) for _ in range(decoder.layers)]
        return VisionQueryDec(asking, interactions())
    layers: list[M3DecLayer | GenericLayer] = []
    for _ in range(decoder.layers):
        if decoder.attention == "generic":
            layers.append(GenericLayer(grid=grid, **sizes))
            continue
        mutual = M3Att(
            channels=channels,
            grid=grid,
            attention=decoder.attention,
            heads=decoder.mutual_heads,
            projection_norm=decoder.projection_norm,
            fusion_norm=decoder.fusion_norm,
            fusion_vision=decoder.fusion_vision,
            norm_everywhere=config.norm_everywhere,
        )
        layers.append(M3DecLayer(mutual=mutual, **sizes))
    return M3Dec(layers, interactions())


def count_unmerged(config: ModelConfig, backbone: VisionBackbone) -> int:
    """How many of a backbone's finest maps are for the mask decoder alone.

    Args:
        config: of the network.
        backbone: built with its skip strides.
    """
    if "map_strides" not in find_encoder("vision", VISION, config.vision.encoder).settings:
        return 0
    first = (config.vision.map_strides or DEFAULT_STRIDES)[0]
    return sum(stride < first for stride in backbone.strides)


def skip_sources(config: ModelConfig, backbone: VisionBackbone, grid_stride: int) -> list[SkipSource]:
    """The maps that the mask decoder reads.

    Args:
        config: of the network.
        backbone: that makes them.
        grid_stride: of F_enc.

    Raises:
        ConfigError: where no map or no upsampling has a stride.
    """
    enlarged = [grid_stride // 2**number for number in range(1, config.mask.upsamplings + 1)]
    sources: list[SkipSource] = []
    for stride in config.mask.skip_strides:
        for name, strides in (("backbone's maps", backbone.strides), ("mask decoder's enlarged maps", enlarged)):
            if stride not in strides:
                known = ", ".join(map(str, strides)) or "none"
                raise ConfigError(f"model.mask.skip_strides: {stride}; the strides of the {name} are {known}")
        number = backbone.strides.index(stride)
        sources.append(SkipSource(number, backbone.channels[number], enlarged.index(stride)))
    return sources


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
    backbone = build_backbone(config.vision, architectures.vision, config.mask.skip_strides)
    unmerged = count_unmerged(config, backbone)
    merged = backbone.strides[unmerged:]
    try:
        stride = merged[choose_grid(merged, config.vision.grid_stride)]
    except ValueError as error:
        raise ConfigError(f"model.vision.grid_stride: {error}") from error
    side = config.grid_size or input_size
    grid, channels, decoder = Grid(side, side, stride), config.channels, config.decoder
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
        freeze_layers=config.vision.freeze_layers,
        freeze_norm=config.vision.freeze_norm,
        unmerged=unmerged,
    )
    # The parts that all rows of an ablation table share are built first, so that they start alike with the same seed.
    build_language = named(find_encoder("language", LANGUAGE, config.language.encoder).build)
    language: LanguageEncoder = build_language(config, words, architectures.language)
    category_head = nn.Linear(channels, categories) if categories else None
    mask = config.mask
    mask_decoder = MaskDecoder(
        channels=channels,
        word_limit=config.word_limit,
        grid=grid,
        kind=mask.kind,
        width=mask.channels,
        upsamplings=mask.upsamplings,
        kernel=mask.kernel,
        maps_per_word=mask.maps_per_word,
        narrowing=mask.narrowing,
        heads=decoder.heads,
        by_position=decoder.attention == "vision_query",
        unit_convolutions=mask.unit_convolutions,
        figure_6=mask.figure_6,
        norm_everywhere=config.norm_everywhere,
        skips=skip_sources(config, backbone, stride),
        skip_width=mask.skip_channels,
    )
    stack = build_decoder(config, grid)
    lfr = None
    if decoder.reconstruction:
        lfr = LFR(channels=channels, stop_gradient=decoder.reconstruction_stop_gradient)
    return M3AttNet(
        vision=vision,
        language=language,
        decoder=stack,
        mask_decoder=mask_decoder,
        lfr=lfr,
        category_head=category_head,
        filled_words=None if config.mask_padding else config.word_limit,
        interaction_code=decoder.interaction_code,
    )
