"""Named experiments as values; `m3att train --preset NAME` runs one, `m3att presets` lists them.

Each preset's description says its command, its time and the score to expect.

The paper's own rows (Table IV) are composed of a data set and one of two networks, twice each:

- as the paper has it. What Sec. IV-A states stands here as stated: C 256, mask decoder 512, two encoder layers, eight
  heads, 15 or 20 words, 50 epochs of batches of 48, Adam at 0.005 with a step decay, w_rec 0.1. What it leaves open
  follows MCN and VLT for the CNN (letterbox, backbone and word vectors frozen, protocol `vlt`) and LAVT for Swin
  (stretched images, pretrained encoders trained at 5e-5, protocol `lavt`). One sentence a referent an epoch, as both
  do; expressions of one image share a batch, for which `--data.grouped false` is the paper's way.
- `recommended`: what measurements of this project on drawn scenes and layouts (docs/results.md, docs/training.md) found
  better or needed, carried over to photos unproven: AdamW at 3e-4 with weight decay 0.01, the Dice loss, LFR's target
  out of the gradient, w_ci from zero, four maps a word and narrowing 3x3 convolutions in the mask decoder, all
  sentences of an image in one batch, the trapezoid schedule, the attention loss, LAV beside F_mul, padding as words.
  Muon, found later, is not among them. LAVT's practice, not measured here, is that pretrained encoders learn at 5e-5
  with AdamW.

Nobody has trained these here; the score to expect is the paper's. Its "IoU" is read as the lineage of each network
reports it: mean IoU for the CNN, overall IoU for Swin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

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
from m3att.settings import did_you_mean


@dataclass(frozen=True)
class Preset:
    """A named experiment.

    Args:
        config: its settings; the command line changes single ones.
        description: command, time and expected score.
    """

    config: RunConfig
    description: str


@dataclass(frozen=True)
class Row:
    """A data set as Table IV names it.

    Args:
        dataset: as `data.splits` names it.
        split_by: who made the splits.
        words: of an expression that are read; Sec. IV-A gives 15 and 20, and none for ReferIt.
        sentences: training expressions a referent, rounded: what an epoch of all of them counts more than one of one.
        iou: the paper's IoU on ``split`` by backbone.
        split: that the figures are of.
    """

    dataset: str
    split_by: str
    words: int
    sentences: float
    iou: dict[str, float]
    split: str = "val"


PAPER_ROWS = {
    "refcoco": Row("refcoco", "unc", 15, 2.84, {"darknet53": 0.6788, "swin-b": 0.7360}),
    "refcoco+": Row("refcoco+", "unc", 15, 2.84, {"darknet53": 0.5698, "swin-b": 0.6534}),
    "refcocog-umd": Row("refcocog", "umd", 20, 1.91, {"darknet53": 0.5479, "swin-b": 0.6492}),
    "refcocog-google": Row("refcocog", "google", 20, 1.91, {"darknet53": 0.5096, "swin-b": 0.6390}),
    "referit": Row("refclef", "berkeley", 15, 1.35, {"darknet53": 0.6933, "swin-b": 0.7297}, split="test"),
}
WEIGHTS = {
    "darknet53": "--model.vision.weights darknet53.conv.74 --model.language.weights glove.840B.300d.txt",
    "swin-b": "--model.vision.weights microsoft/swin-base-patch4-window12-384-in22k "
    "--model.language.weights google-bert/bert-base-uncased",
}
MEASURE = {"darknet53": "mean IoU", "swin-b": "overall IoU"}
PRETRAINED_RATE = 5e-5  # of LAVT
ABLATION_STEPS = 1200
ATTENTION_WEIGHT = 0.1  # where M3Att is made to look at the image


def tiny_network() -> ModelConfig:
    """The smallest network that has every part of the paper's: 2.4 M parameters at stride 8.

    It departs from the paper's sizes, and in three points that measurements here decided: LFR's target is kept out of
    the gradient (it collapsed to a constant within 1,000 steps otherwise), a word makes four maps, and the mask
    decoder's convolutions are narrow 3x3 ones.
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
    """The tiny network on ShapeRef, drawn without end: no scene repeats.

    M3Att learns nothing in it (docs/results.md). Its backbone is the one that the rows of `ablation-tiny` freeze.
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


def looking(model: ModelConfig) -> ModelConfig:
    """With what lets M3Att hand on what it is made to look at, and padding as words to think in (docs/results.md)."""
    return replace(model, mask_padding=False, decoder=replace(model.decoder, fusion_vision=True))


def shaperef_tiny_hour() -> RunConfig:
    """The tiny network on ShapeRef from fresh weights in an hour, with all that measurements here found to help.

    M3Att is made to look at the referent, Muon steps, and the input grows to the scenes' own 160 pixels.
    """
    base = shaperef_tiny_start()
    return replace(
        base,
        model=replace(looking(base.model), grid_size=base.input.size),
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
    """What follows `shaperef-tiny-start`: M3Att, fresh and with LAV beside F_mul, is made to look at the referent.

    The input grows to the scenes' own 160 pixels, with positions counted as before.
    """
    base = shaperef_tiny_start()
    decoder = replace(base.model.decoder, fusion_vision=True)
    return replace(
        base,
        model=replace(base.model, decoder=decoder, grid_size=base.input.size),
        input=replace(base.input, size=160),
        train=replace(
            base.train,
            init="shaperef-tiny-start",
            fresh=tuple(f"decoder.layers.*.{part}" for part in ("mutual", "norm_mutual", "cross_attention")),
            steps=5800,
            early_sizes=(base.input.size,),
            early_steps=(3200,),
            fall=0.7,
            attention_weight=ATTENTION_WEIGHT,
        ),
    )


def shaperef_tiny() -> RunConfig:
    """What follows `shaperef-tiny-middle`: padding becomes words, and Muon steps, gently."""
    middle = shaperef_tiny_middle()
    return replace(
        middle,
        model=looking(middle.model),
        train=replace(
            middle.train,
            init="shaperef-tiny-middle",
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


def refcoco_layout_tiny() -> RunConfig:
    """The tiny network on RefCOCO's sentences, over drawn layouts of the annotated boxes in place of the photos.

    Its backbone is narrower: a layout shows little.
    """
    base = shaperef_tiny_start()
    vision = VisionConfig(encoder="tiny", widths=(24, 48, 96), blocks=(0, 1, 1))
    language = replace(base.model.language, word_minimum=2, word_dropout=0.05)
    return replace(
        base,
        model=replace(looking(base.model), word_limit=15, vision=vision, language=language),
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
    """The tiny network on ShapeRef at 96 pixels, for the rows of `m3att ablate`: much is learnt in little time.

    As the paper's Darknet-53 is, the backbone is pretrained and frozen, so that a run's budget goes into what the rows
    differ in. It is that of `shaperef-tiny-start`, whose M3Att looks at nothing: the same for every row.
    """
    base = shaperef_tiny_start()
    return replace(
        base,
        model=replace(base.model, vision=replace(base.model.vision, weights="shaperef-tiny-start", freeze=True)),
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
    """The same on RefCOCO's sentences over drawn layouts, with the backbone of that bundled model."""
    base, layouts = ablation_tiny(), refcoco_layout_tiny()
    vision = replace(layouts.model.vision, weights="refcoco-layout-tiny", freeze=True)
    model = replace(base.model, word_limit=15, vision=vision, language=layouts.model.language)
    return replace(base, model=model, data=layouts.data)


def paper_run(row: Row, backbone: str) -> RunConfig:
    """A row of Table IV as the paper has it; see the module's docstring for what it leaves open."""
    if backbone == "darknet53":
        vision = VisionConfig(encoder="darknet53", freeze=True)
        language = LanguageConfig(encoder="birnn", word_channels=300, freeze=True)
        inputs, rate = InputConfig(size=416, resize="letterbox"), 1.0
        scored = EvaluateConfig(threshold=0.35, protocol="vlt")
    else:
        vision = VisionConfig(encoder="huggingface", architecture="swin-b")
        language = LanguageConfig(encoder="huggingface", architecture="bert-base")
        inputs, rate = InputConfig(size=480, resize="stretch"), PRETRAINED_RATE / 0.005
        scored = EvaluateConfig(threshold=0.5, protocol="lavt")
    return RunConfig(
        model=ModelConfig(channels=256, word_limit=row.words, vision=vision, language=language),
        input=inputs,
        data=DataConfig(dataset=row.dataset, split_by=row.split_by, pixels="photos", sentences="one"),
        train=TrainConfig(
            batch_size=48, epochs=50, optimizer="adam", learning_rate=0.005, schedule="step", pretrained_rate=rate
        ),
        evaluate=scored,
    )


def recommended_run(row: Row, backbone: str) -> RunConfig:
    """The same row with what was found better; see the module's docstring for what that rests on."""
    paper, rate = paper_run(row, backbone), 3e-4
    model = looking(paper.model)
    pretrained_rate = PRETRAINED_RATE / rate if backbone == "swin-b" else 1.0
    return replace(
        paper,
        model=replace(
            model,
            decoder=replace(model.decoder, injection=0.0, reconstruction_stop_gradient=True),
            mask=replace(model.mask, kernel=3, narrowing=2, maps_per_word=4),
        ),
        # All sentences share one encoding of their image; as many of them in all as the paper's 50 epochs of one.
        data=replace(paper.data, sentences="all", per_image=8),
        train=replace(
            paper.train,
            epochs=round(paper.train.epochs / row.sentences),
            optimizer="adamw",
            learning_rate=rate,
            pretrained_rate=pretrained_rate,
            weight_decay=0.01,
            schedule="trapezoid",
            dice_weight=1.0,
            attention_weight=ATTENTION_WEIGHT,
        ),
    )


def paper_presets() -> dict[str, Preset]:
    """Every row of Table IV with both backbones, each as the paper has it and as recommended."""
    presets = {}
    for (name, row), (backbone, weights) in product(PAPER_ROWS.items(), WEIGHTS.items()):
        for suffix, make in (("", paper_run), ("-recommended", recommended_run)):
            key, config = f"{name}-{backbone}{suffix}", make(row, backbone)
            presets[key] = Preset(
                config,
                f"m3att train --preset {key} --data.root ROOT {weights} --out runs/{key}; needs photos and "
                f"weights. {config.train.epochs:g} epochs, untrained here. "
                f"The paper reports {MEASURE[backbone]} {row.iou[backbone]:.4f} on {row.split}.",
            )
    return presets


PRESETS: dict[str, Preset] = {
    "shaperef-tiny": Preset(
        shaperef_tiny(),
        "m3att train --preset shaperef-tiny --out runs/shaperef-tiny; needs no data. 40 minutes on two cores, from the "
        "bundled shaperef-tiny-middle to mean IoU 0.822 on shaperef val.",
    ),
    "shaperef-tiny-hour": Preset(
        shaperef_tiny_hour(),
        "m3att train --preset shaperef-tiny-hour --out runs/hour; needs no data. 60 minutes on two cores, from fresh "
        "weights to mean IoU 0.722 on shaperef val.",
    ),
    "shaperef-tiny-middle": Preset(
        shaperef_tiny_middle(),
        "m3att train --preset shaperef-tiny-middle --out runs/middle; needs no data. 75 minutes on one core, from the "
        "bundled shaperef-tiny-start to mean IoU 0.790 on shaperef val.",
    ),
    "shaperef-tiny-start": Preset(
        shaperef_tiny_start(),
        "m3att train --preset shaperef-tiny-start --out runs/start; needs no data, or data of your own (--data.root). "
        "About 140 minutes on one core, from fresh weights to mean IoU 0.731 on shaperef val.",
    ),
    "refcoco-layout-tiny": Preset(
        refcoco_layout_tiny(),
        "m3att train --preset refcoco-layout-tiny --data.root REFER --out runs/refcoco-layout-tiny; needs RefCOCO's "
        "annotations, no photos. 70 minutes on one core, to mean IoU 0.615 on val.",
    ),
    "ablation-tiny": Preset(
        ablation_tiny(),
        "m3att train --preset ablation-tiny --out runs/ablation-tiny; needs no data. 6 minutes on one core. For the "
        "rows of m3att ablate; docs/results.md has their scores.",
    ),
    "ablation-layout-tiny": Preset(
        ablation_layout_tiny(),
        "m3att train --preset ablation-layout-tiny --data.root REFER --out runs/ablation-layout-tiny; needs RefCOCO's "
        "annotations, no photos; --data.dataset refcoco+ takes those of the other. 6 minutes on one core. For the rows "
        "of m3att ablate; docs/results.md has scores with an elder backbone.",
    ),
    **paper_presets(),
}


def find_preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        ConfigError: where there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}{did_you_mean(name, PRESETS)}; m3att presets lists them")
    return PRESETS[name]
