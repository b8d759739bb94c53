"""Presets of the small networks that this project trains itself: on ShapeRef, and on RefCOCO's drawn layouts."""

from __future__ import annotations

from dataclasses import replace

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
from m3att.presets.preset import Preset

ABLATION_STEPS = 1200
ATTENTION_WEIGHT = 0.1  # of the presets that use the attention loss


def tiny_network() -> ModelConfig:
    """A small network with every part of the paper's network: 2.4 M parameters at stride 8.

    Its sizes are smaller than the paper's. Measurements decided three more differences: the gradient of LFR's loss
    stops at its target (otherwise the target collapsed to a constant within 1,000 steps), a word makes four maps, and
    the mask decoder has narrow 3x3 convolutions.
    """
    return ModelConfig(
        channels=128,
        word_limit=24,
        vision=VisionConfig(encoder="tiny", widths=(32, 64, 128), blocks=(0, 1, 2)),
        language=LanguageConfig(encoder="birnn", rnn="lstm", word_channels=128),
        decoder=DecoderConfig(layers=3, heads=4, feedforward=2, injection=0.0, reconstruction_stop_gradient=True),
        mask=MaskDecoderConfig(channels=32, kernel=3, upsamplings=2, narrowing=2, maps_per_word=4),
    )


def shaperef_tiny_start() -> RunConfig:
    """The tiny network on ShapeRef scenes that are drawn on the fly; no scene repeats.

    In our trainings its M3Att did not learn to use the image (docs/lab-notes.md). The rows of `ablation-tiny` freeze
    its backbone.
    """
    return RunConfig(
        model=tiny_network(),
        input=InputConfig(size=128, resize="stretch"),
        data=DataConfig(dataset="shaperef,shaperef,shaperef+,shaperefg", per_image=5),
        train=TrainConfig(
            batch_size=50,
            steps=13000,
            early_sizes=(96,),
            early_steps=(5500,),
            optimizer="adamw",
            learning_rate=4e-4,
            weight_decay=0.01,
            schedule="trapezoid",
            fall=0.55,
            clip=1.0,
            dice_weight=1.0,
            category_weight=0.5,
        ),
        evaluate=EvaluateConfig(threshold=0.5),
    )


def attending_to_the_image(model: ModelConfig) -> ModelConfig:
    """The same network with the projected LAV added to F_mul, and with padding as words (docs/lab-notes.md)."""
    return replace(model, mask_padding=False, decoder=replace(model.decoder, fusion_vision=True))


def shaperef_tiny_hour() -> RunConfig:
    """The tiny network on ShapeRef, from fresh weights in an hour, with all changes that helped in the lab notes.

    It uses the attention loss and Muon, and the input grows to 160 pixels.
    """
    base = shaperef_tiny_start()
    return replace(
        base,
        model=replace(attending_to_the_image(base.model), grid_size=base.input.size),
        input=replace(base.input, size=160),
        train=replace(
            base.train,
            optimizer="muon",
            steps=6700,
            early_sizes=(96, 128),
            early_steps=(3000, 6350),
            fall=0.6,
            attention_weight=ATTENTION_WEIGHT,
        ),
    )


def shaperef_tiny_middle() -> RunConfig:
    """The second training, after `shaperef-tiny-start`: a fresh M3Att with LAV, and the attention loss.

    The input grows to the scenes' own 160 pixels. Positions are counted as before.
    """
    base = shaperef_tiny_start()
    decoder = replace(base.model.decoder, fusion_vision=True)
    return replace(
        base,
        model=replace(base.model, decoder=decoder, grid_size=base.input.size),
        input=replace(base.input, size=160),
        train=replace(
            base.train,
            init="preset:shaperef-tiny-start",
            fresh=tuple(f"decoder.layers.*.{part}" for part in ("mutual", "norm_mutual", "cross_attention")),
            steps=5800,
            early_sizes=(base.input.size,),
            early_steps=(3200,),
            fall=0.7,
            attention_weight=ATTENTION_WEIGHT,
        ),
    )


def shaperef_tiny_late() -> RunConfig:
    """The third training, after `shaperef-tiny-middle`: padding as words, and Muon with a low learning rate."""
    middle = shaperef_tiny_middle()
    return replace(
        middle,
        model=attending_to_the_image(middle.model),
        train=replace(
            middle.train,
            init="preset:shaperef-tiny-middle",
            fresh=(),
            optimizer="muon",
            learning_rate=2e-4,
            warmup=100,
            steps=4200,
            early_sizes=(),
            early_steps=(),
            fall=0.9,
            seed=1,
        ),
    )


def shaperef_tiny() -> RunConfig:
    """The fourth training, after `shaperef-tiny-late`: the same for three times as long, on other scenes.

    One command trains all four in a row, from fresh weights.
    """
    late = shaperef_tiny_late()
    return replace(late, train=replace(late.train, init="preset:shaperef-tiny-late", steps=12500, seed=2))


def refcoco_layout_tiny() -> RunConfig:
    """The tiny network on RefCOCO's sentences, with drawn layouts of the annotated boxes instead of photos.

    Its backbone is narrower, because a layout shows few details.
    """
    base = shaperef_tiny_start()
    vision = VisionConfig(encoder="tiny", widths=(24, 48, 96), blocks=(0, 1, 1))
    language = replace(base.model.language, word_minimum=2, word_dropout=0.05)
    return replace(
        base,
        model=replace(attending_to_the_image(base.model), word_limit=15, vision=vision, language=language),
        data=DataConfig(dataset="refcoco", split_by="unc", pixels="layout", per_image=8, flip=True),
        train=replace(
            base.train,
            batch_size=48,
            learning_rate=6e-4,
            steps=9000,
            early_steps=(5000,),
            fall=0.5,
            attention_weight=ATTENTION_WEIGHT,
        ),
    )


def ablation_tiny() -> RunConfig:
    """The tiny network on ShapeRef at 96 pixels, for the rows of `m3att ablate`: a run takes a few minutes.

    The backbone is pretrained and frozen, like the paper's Darknet-53. So the budget of a run goes into the parts in
    which the rows differ. All rows use the backbone of the bundled `shaperef-tiny`.
    """
    base = shaperef_tiny_start()
    return replace(
        base,
        model=replace(base.model, vision=replace(base.model.vision, weights="shaperef-tiny", freeze=True)),
        input=InputConfig(size=96, resize="stretch"),
        data=DataConfig(dataset="shaperef", per_image=6),
        train=replace(
            base.train,
            batch_size=48,
            steps=ABLATION_STEPS,
            early_sizes=(),
            early_steps=(),
            fall=0.3,
            warmup=100,
            validate_every=ABLATION_STEPS // 5,
            validate_images=100,
            save_every=100,
        ),
    )


def ablation_layout_tiny() -> RunConfig:
    """The same on RefCOCO's sentences and drawn layouts, with the backbone of the bundled `refcoco-layout-tiny`."""
    base, layouts = ablation_tiny(), refcoco_layout_tiny()
    vision = replace(layouts.model.vision, weights="refcoco-layout-tiny", freeze=True)
    model = replace(base.model, word_limit=15, vision=vision, language=layouts.model.language)
    return replace(base, model=model, data=layouts.data)


def ablation_photo() -> RunConfig:
    """The rows of `m3att ablate` on photographed objects: RefCOCO's sentences over collages of real cut-outs.

    The backbone is EfficientNet-Lite0 from ImageNet, frozen, as the paper's Darknet-53 is. No other part has seen any
    picture or sentence before, so no row starts with an advantage.
    """
    base = ablation_layout_tiny()
    vision = VisionConfig(encoder="efficientnet-lite0", weights="imagenet", freeze=True)
    return replace(
        base,
        model=replace(base.model, mask_padding=True, vision=vision),
        input=InputConfig(size=224, resize="letterbox"),
        data=replace(base.data, pixels="collage"),
        train=replace(base.train, steps=6000, validate_every=600, validate_images=150),
    )


TINY_PRESETS: dict[str, Preset] = {
    "shaperef-tiny": Preset(
        shaperef_tiny(),
        "m3att train --preset shaperef-tiny --out runs/shaperef-tiny; needs no data. About 360 minutes, from fresh "
        "weights to mean IoU 0.872 on shaperef val: it trains shaperef-tiny-start, -middle and -late first.",
    ),
    "shaperef-tiny-hour": Preset(
        shaperef_tiny_hour(),
        "m3att train --preset shaperef-tiny-hour --out runs/hour; needs no data. 57 minutes on two cores, from fresh "
        "weights to mean IoU 0.722 on shaperef val.",
    ),
    "shaperef-tiny-late": Preset(
        shaperef_tiny_late(),
        "m3att train --preset shaperef-tiny-late --out runs/late; needs no data. 40 minutes on two cores "
        "after shaperef-tiny-middle, which it trains first, to mean IoU 0.822 on shaperef val (measured with the "
        "scenes of seed 0; today it draws those of seed 1).",
    ),
    "shaperef-tiny-middle": Preset(
        shaperef_tiny_middle(),
        "m3att train --preset shaperef-tiny-middle --out runs/middle; needs no data. 73 minutes on one core "
        "after shaperef-tiny-start, which it trains first, to mean IoU 0.790 on shaperef val.",
    ),
    "shaperef-tiny-start": Preset(
        shaperef_tiny_start(),
        "m3att train --preset shaperef-tiny-start --out runs/start; needs no data, or data of your own (--data.root). "
        "About 130 minutes on one core, from fresh weights to mean IoU 0.731 on shaperef val.",
    ),
    "refcoco-layout-tiny": Preset(
        refcoco_layout_tiny(),
        "m3att train --preset refcoco-layout-tiny --data.root ROOT --out runs/refcoco-layout-tiny; needs RefCOCO's "
        "annotations, no photos. 66 minutes on one core, to mean IoU 0.616 on val.",
    ),
    "ablation-tiny": Preset(
        ablation_tiny(),
        "m3att train --preset ablation-tiny --out runs/ablation-tiny; needs no data. 6 minutes on one core. For the "
        "rows of m3att ablate; docs/lab-notes.md and docs/reproduction.md have scores with ablation-tiny.",
    ),
    "ablation-photo": Preset(
        ablation_photo(),
        "m3att train --preset ablation-photo --data.root ROOT --data.cutouts '[OBJECTS.json]' --out "
        "runs/ablation-photo; needs RefCOCO's annotations, photos with outlined objects (docs/photos.md) and the extra "
        "photos; --data.dataset refcoco+ uses the sentences of RefCOCO+. About 100 minutes on one core, by the time of "
        "a step of the preset photo. For the rows of m3att ablate; docs/reproduction.md says what has been run.",
    ),
    "ablation-layout-tiny": Preset(
        ablation_layout_tiny(),
        "m3att train --preset ablation-layout-tiny --data.root ROOT --out runs/ablation-layout-tiny; needs RefCOCO's "
        "annotations, no photos; --data.dataset refcoco+ uses those of RefCOCO+. 6 minutes on one core. For the rows "
        "of m3att ablate; docs/lab-notes.md has scores with ablation-layout-tiny and an earlier backbone.",
    ),
}
