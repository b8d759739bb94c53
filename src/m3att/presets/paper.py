"""Presets of the paper's own networks. Each row of Table IV has two.

A row is composed of a data set and one of two networks. The two presets of a row are:

- the paper's. The numbers of Sec. IV-A are used as stated: C 256, mask decoder 512, two encoder layers, eight
  heads, 15 or 20 words, 50 epochs of batches of 48, Adam at 0.005 with a step decay, w_rec 0.1. What the paper
  leaves open follows MCN and VLT for the CNN (letterbox, backbone and word vectors frozen, protocol `vlt`) and LAVT for
  Swin (stretched images, pretrained encoders trained at 5e-5, protocol `lavt`). An epoch has one sentence a referent,
  as in all three. Expressions of one image share a batch; `--data.grouped false` samples them as the paper does.
- `recommended`: what this project found better or needed on drawn scenes and layouts (docs/lab-notes.md,
  docs/training.md). On photos it is unproven: AdamW at 3e-4 with weight decay 0.01, the Dice loss, LFR's target
  out of the gradient, w_ci from zero, four maps a word and narrowing 3x3 convolutions in the mask decoder, all
  sentences of an image in one batch, the trapezoid schedule, the attention loss, LAV beside F_mul, padding as words.
  Muon was tried later and is not used. Pretrained encoders learn at 5e-5 with AdamW, as in LAVT; this was not measured
  here.

Nobody has trained these networks here. The expected score is the paper's. Its "IoU" is read as mean IoU for the CNN and
as overall IoU for Swin, because the networks that they are compared with report these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from m3att.config import (
    DataConfig,
    EvaluateConfig,
    InputConfig,
    LanguageConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.presets.preset import Preset
from m3att.presets.tiny import ATTENTION_WEIGHT, attending_to_the_image


@dataclass(frozen=True)
class Row:
    """A data set as Table IV names it.

    Args:
        dataset: as `data.splits` names it.
        split_by: who made the splits.
        words: how many words of an expression are read. Sec. IV-A says 15 and 20, and nothing for ReferIt.
        sentences: training expressions a referent, rounded. An epoch of all expressions is this many times as long as
            an epoch of one expression a referent.
        iou: the paper's IoU on ``split``, by backbone.
        split: the split of these figures.
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


def paper_run(row: Row, backbone: str) -> RunConfig:
    """A row of Table IV with the paper's settings; the docstring of the module says what the paper leaves open."""
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
    """The same row with settings that measured better; the docstring of the module lists them."""
    paper, rate = paper_run(row, backbone), 3e-4
    model = attending_to_the_image(paper.model)
    pretrained_rate = PRETRAINED_RATE / rate if backbone == "swin-b" else 1.0
    return replace(
        paper,
        model=replace(
            model,
            decoder=replace(model.decoder, injection=0.0, reconstruction_stop_gradient=True),
            mask=replace(model.mask, kernel=3, narrowing=2, maps_per_word=4),
        ),
        # All sentences of an image share its encoding. The run sees as many sentences as the paper's 50 epochs.
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
    """Every row of Table IV with both backbones, each with the paper's settings and with the recommended ones."""
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
