"""The settings of fine-tuning: the network of a trained model, your own data, and a short training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from m3att.config import DataConfig, RunConfig, TrainConfig
from m3att.data.own.detect import Kind
from m3att.data.shaperef.world import VARIANTS

STEPS, VALIDATIONS = 400, 4
BATCH, PER_IMAGE = 32, 8
RATE = 2e-4  # half of what `photo` was trained with; the only rate that was tried
HELD_OUT = 0.2  # of 50 photos 10


def finetune_config(model: str, trained: RunConfig, new: Kind, old: Sequence[str] = ()) -> RunConfig:
    """The settings of a run that teaches a model new data.

    Losses, input, flip and threshold are those of the training of the model. Parts that only training uses are left
    out where they need what the new data may not have (the category loss), or begin fresh.

    Args:
        model: its name, as `find_model` takes it.
        trained: settings of the run that trained it.
        new: the data to learn.
        old: data that are not to be forgotten; see DataConfig. None of a model of drawn scenes: scenes like its own.
    """
    names = tuple(dict.fromkeys(name.strip() for name in trained.data.dataset.split(",")))
    drawn = names if trained.data.root is None and set(names) <= set(VARIANTS) else ()
    data = DataConfig(
        root=new.root,
        dataset=new.dataset,
        flip=trained.data.flip,
        per_image=PER_IMAGE,
        old=tuple(old) or drawn,
        held_out=HELD_OUT,
    )
    learned = trained.train
    train = TrainConfig(
        init=model,
        batch_size=BATCH,
        steps=STEPS,
        optimizer="adamw",
        learning_rate=RATE,
        pretrained_rate=learned.pretrained_rate,
        weight_decay=0.01,
        schedule="trapezoid",
        fall=0.5,
        warmup=20,
        mask_weight=learned.mask_weight,
        reconstruction_weight=learned.reconstruction_weight,
        dice_weight=learned.dice_weight,
        box_weight=learned.box_weight,
        attention_weight=learned.attention_weight,
        ranking_weight=learned.ranking_weight,
        mask_reduction=learned.mask_reduction,
        validate_every=STEPS // VALIDATIONS,
        validate_start=True,
        validate_images=100,
        save_every=STEPS // VALIDATIONS,
    )
    language = replace(trained.model.language, word_minimum=1)  # a word of one sentence of 50 photos counts too
    return replace(trained, model=replace(trained.model, language=language), data=data, train=train)
