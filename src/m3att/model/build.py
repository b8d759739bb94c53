"""Builds the network that a ModelConfig describes: the only reader of settings in ``model``."""

from __future__ import annotations

from torch import nn

from m3att.config import LanguageConfig, ModelConfig, VisionConfig
from m3att.model.imi import IMI
from m3att.model.language.birnn import BiRNN
from m3att.model.language.contract import LanguageEncoder
from m3att.model.lfr import LFR
from m3att.model.m3att import M3Att
from m3att.model.m3dec import M3Dec, M3DecLayer
from m3att.model.mask_decoder import MaskDecoder
from m3att.model.network import M3AttNet
from m3att.model.vision.contract import VisionBackbone
from m3att.model.vision.encoder import VisionEncoder
from m3att.model.vision.tiny import TinyConvNet


def build_tiny(config: VisionConfig) -> VisionBackbone:
    """The small conv net."""
    return TinyConvNet(config.widths, config.blocks)


def build_birnn(config: LanguageConfig, channels: int, words: int) -> LanguageEncoder:
    """The bidirectional recurrent net over ``words`` word vectors."""
    return BiRNN(words, config.word_channels, channels, config.rnn, config.word_dropout)


VISION = {"tiny": build_tiny}
LANGUAGE = {"birnn": build_birnn}


def build_network(config: ModelConfig, input_size: int, words: int, categories: int = 0) -> M3AttNet:
    """The network with fresh weights.

    Args:
        config: what to build.
        input_size: side of the square input in pixels; fixes the trained grid.
        words: size of the tokenizer's vocabulary.
        categories: classes of the category head, where the training has a category loss.

    Returns:
        The network, in training mode, on the CPU.
    """
    backbone = VISION[config.vision.encoder](config.vision)
    side = -(-input_size // backbone.stride)
    grid, channels, decoder = (side, side), config.channels, config.decoder
    vision = VisionEncoder(
        backbone,
        channels,
        grid,
        config.vision.encoder_layers,
        decoder.heads,
        decoder.feedforward,
        decoder.dropout,
        config.vision.freeze,
    )
    layers = [
        M3DecLayer(
            M3Att(channels, grid, decoder.attention, decoder.mutual_heads, decoder.projection_norm),
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
    lfr = LFR(channels, decoder.reconstruction_stop_gradient) if decoder.reconstruction else None
    language = LANGUAGE[config.language.encoder](config.language, channels, words)
    category_head = nn.Linear(channels, categories) if categories else None
    return M3AttNet(vision, language, M3Dec(layers, interactions), mask_decoder, lfr, category_head)
