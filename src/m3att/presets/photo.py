"""The preset of the network for photos: real language over collages of real objects, from ImageNet's weights."""

from __future__ import annotations

from dataclasses import replace

from m3att.config import DataConfig, EvaluateConfig, InputConfig, RunConfig, VisionConfig
from m3att.presets.preset import Preset
from m3att.presets.tiny import refcoco_layout_tiny


def photo() -> RunConfig:
    """A small network over a frozen EfficientNet-Lite0, on RefCOCO's and RefCOCO+'s sentences over collages.

    The backbone has learned from ImageNet's photos, so the training can concentrate on the words. It is frozen, because
    a backbone that is trained on collages would learn to see the edges of cut-outs.
    """
    base = refcoco_layout_tiny()
    vision = VisionConfig(encoder="efficientnet-lite0", weights="imagenet", freeze=True)
    language = replace(base.model.language, word_channels=50)
    return replace(
        base,
        model=replace(base.model, vision=vision, language=language),
        input=InputConfig(size=320, resize="letterbox"),
        data=DataConfig(dataset="refcoco,refcoco+", split_by="unc", pixels="collage", per_image=8, flip=True),
        train=replace(base.train, steps=2300, early_sizes=(224,), early_steps=(1850,), fall=0.42),
        evaluate=EvaluateConfig(threshold=0.35),
    )


PHOTO_PRESETS: dict[str, Preset] = {
    "photo": Preset(
        photo(),
        "m3att train --preset photo --data.root REFER --data.cutouts '[OBJECTS.json]' --data.beside '[DESCRIBED.json]' "
        "--model.language.weights GLOVE.txt --out runs/photo; needs RefCOCO's and RefCOCO+'s annotations and photos "
        "with outlined objects (docs/photos.md). About 65 minutes on a third of a core, to mean IoU 0.358 "
        "(RefCOCO) and 0.257 (RefCOCO+) on 13 photos.",
    ),
}
