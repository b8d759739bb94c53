"""Named experiments as values; `m3att train --preset NAME` runs one.

Each preset's description says its command, its time and the score to expect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from m3att.config import (
    DataConfig,
    DecoderConfig,
    EvaluateConfig,
    InputConfig,
    LanguageConfig,
    MaskDecoderConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """A named experiment.

    Args:
        config: its settings; the command line changes single ones.
        description: command, time and expected score.
    """

    config: RunConfig
    description: str


def tiny_network() -> ModelConfig:
    """The smallest network that has every part of the paper's: it trains on two cores within an hour or two."""
    return ModelConfig(
        channels=128,
        word_limit=24,
        vision=VisionConfig(encoder="tiny", widths=(24, 48, 96), blocks=(0, 1, 1)),
        language=LanguageConfig(encoder="birnn", rnn="lstm", word_channels=128),
        decoder=DecoderConfig(layers=3, heads=4, feedforward=2),
        mask=MaskDecoderConfig(channels=64, kernel=3, upsamplings=2, narrowing=4, maps_per_word=4),
    )


def shaperef_tiny() -> RunConfig:
    """The tiny network on ShapeRef, drawn without end in all three variants."""
    return RunConfig(
        model=tiny_network(),
        input=InputConfig(size=128, resize="stretch"),
        data=DataConfig(dataset="shaperef,shaperef+,shaperefg", per_image=8),
        train=TrainConfig(
            batch_size=96,
            steps=8000,
            optimizer="adamw",
            learning_rate=1e-3,
            weight_decay=0.01,
            schedule="cosine",
            clip=1.0,
            dice_weight=1.0,
        ),
        evaluate=EvaluateConfig(threshold=0.5),
    )


def refcoco_layout_tiny() -> RunConfig:
    """The same network on RefCOCO's sentences, over drawn layouts of the annotated boxes in place of the photos."""
    base = shaperef_tiny()
    return replace(
        base,
        model=replace(
            base.model, word_limit=15, language=replace(base.model.language, word_minimum=2, word_dropout=0.05)
        ),
        data=DataConfig(dataset="refcoco", split_by="unc", pixels="layout", per_image=8),
        train=replace(base.train, steps=12000),
    )


PRESETS: dict[str, Preset] = {
    "shaperef-tiny": Preset(
        shaperef_tiny(),
        "m3att train --preset shaperef-tiny --out runs/shaperef-tiny; needs no data. "
        "About 100 minutes on 2 cores, to mean IoU 0.85 on shaperef val.",
    ),
    "refcoco-layout-tiny": Preset(
        refcoco_layout_tiny(),
        "m3att train --preset refcoco-layout-tiny --data.root REFER --out runs/refcoco-layout-tiny; needs RefCOCO's "
        "annotations, no photos. About 150 minutes on 2 cores, to mean IoU 0.55 on val.",
    ),
}


def find_preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        ConfigError: where there is none of that name; the message lists them.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]
