"""The preset of the network for photos: real language over collages of real objects, from ImageNet's weights."""

from __future__ import annotations

from dataclasses import replace

from m3att.config import DataConfig, EvaluateConfig, InputConfig, RunConfig, VisionConfig
from m3att.presets.preset import Preset
from m3att.presets.tiny import refcoco_layout_tiny

LAYOUT_CELLS, STRIDE = 16, 16  # cells of the layout network's grid, by which positions count; pixels between cells here


def photo() -> RunConfig:
    """The layout network over a frozen EfficientNet-Lite2, on RefCOCO's and RefCOCO+'s sentences over collages.

    Its language, decoder and mask decoder start from `refcoco-layout-tiny`, which has learned from drawn layouts what
    these sentences mean; only the way from the backbone's maps to F_enc is new. The backbone has learned from
    ImageNet's photos. It is frozen, because a backbone that is trained on collages would learn to see the edges of
    cut-outs.
    """
    base = refcoco_layout_tiny()
    vision = VisionConfig(encoder="efficientnet-lite2", weights="imagenet", freeze=True)
    return replace(
        base,
        model=replace(base.model, vision=vision, grid_size=LAYOUT_CELLS * STRIDE),
        input=InputConfig(size=320, resize="letterbox"),
        data=DataConfig(
            dataset="refcoco,refcoco+",
            split_by="unc",
            pixels="collage",
            per_image=12,
            flip=True,
            beside_share=0.4,
        ),
        train=replace(
            base.train,
            init="refcoco-layout-tiny",
            fresh=("vision.backbone", "vision.merge", "vision.projection"),
            learning_rate=4e-4,
            warmup=60,
            steps=5400,
            early_sizes=(224,),
            early_steps=(3950,),
            fall=0.3,
        ),
        evaluate=EvaluateConfig(threshold=0.35, region="peak"),
    )


PHOTO_PRESETS: dict[str, Preset] = {
    "photo": Preset(
        photo(),
        "m3att train --preset photo --data.root ROOT --data.cutouts '[OBJECTS.json]' --data.beside '[DESCRIBED.json]' "
        "--out runs/photo; needs RefCOCO's and RefCOCO+'s annotations and photos with outlined objects "
        "(docs/photos.md). About 65 minutes on one to two cores, to mean IoU 0.404 (RefCOCO) and 0.298 (RefCOCO+) on "
        "13 photos.",
    ),
}
