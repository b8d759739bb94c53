"""ImageNet's weights on real photos: is the class of a large object among the five that EfficientNet-Lite names?

    python benchmarks/imagenet_sanity.py COCO_JSON IMAGES [--sizes lite0 lite1 lite2] [--json FILE]

COCO_JSON is a file of instances in COCO's format, IMAGES the folder of its photos. The weights come with the extra
`photos`. Each object that covers enough of its photo, and whose kind ImageNet has classes of, is cut out with some room
around it and classified by the backbone and the classifier of the same file. A wrong padding, a wrong constant or an
exchanged weight would show here as guessing: `chance` is how often the five names fit the object of another photo,
drawn by lot.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from m3att.model.vision.efficientnet_lite import EPS, EfficientNetLite
from m3att.weights.efficientnet import IMAGENET, fill_backbone, find_weights, read_state_dict

SIDES = {"lite0": 224, "lite1": 240, "lite2": 260}  # what each size was trained at
ROOM = 1.25  # side of the cut-out as a multiple of the object's longer side
COVERED = 0.1  # smallest share of the photo that an object's box covers
# Kinds of COCO and the classes of ImageNet-1k that are of that kind, by their numbers.
CLASSES = {
    "bird": [*range(7, 25), *range(80, 101), *range(127, 147)],
    "cat": range(281, 286),
    "dog": range(151, 269),
    "horse": [339],
    "sheep": [348, 349],
    "cow": [345],
    "elephant": [101, 385, 386],
    "bear": range(294, 298),
    "zebra": [340],
    "airplane": [404, 895],
    "bus": [654, 779, 874],
    "train": [466, 547, 705, 820, 829],
    "truck": [555, 569, 675, 717, 864, 867],
    "bicycle": [444, 671],
    "motorcycle": [665, 670],
    "traffic light": [920],
    "parking meter": [704],
    "umbrella": [879],
    "teddy bear": [850],
    "toilet": [861],
    "laptop": [620, 681],
    "keyboard": [508],
    "microwave": [651],
    "refrigerator": [760],
    "tv": [664, 782, 851],
    "clock": [409, 530, 892],
    "vase": [883],
    "pizza": [963],
    "banana": [954],
    "orange": [950],
    "broccoli": [937],
    "hot dog": [934],
}


class Crop(NamedTuple):
    """An object to classify.

    Args:
        path: of its photo.
        kind: key of CLASSES.
        square: of the photo, XYXY in pixels.
    """

    path: Path
    kind: str
    square: tuple[int, int, int, int]


def large_objects(instances: dict[str, Any], images: Path) -> list[Crop]:
    """The largest object of each kind in each photo, where it is large enough."""
    kinds = {row["id"]: row["name"] for row in instances["categories"]}
    photos = {row["id"]: row for row in instances["images"]}
    largest: dict[tuple[int, str], list[float]] = {}
    for row in instances["annotations"]:
        key = (row["image_id"], kinds[row["category_id"]])
        width, height = row["bbox"][2:]
        if key[1] in CLASSES and not row.get("iscrowd") and width * height > np.prod(largest.get(key, [0])[-2:]):
            largest[key] = row["bbox"]
    crops = []
    for (image, kind), (left, top, width, height) in sorted(largest.items()):
        photo = photos[image]
        if width * height < COVERED * photo["width"] * photo["height"]:
            continue
        side = min(ROOM * max(width, height), photo["width"], photo["height"])
        x = min(max(0, left + width / 2 - side / 2), photo["width"] - side)
        y = min(max(0, top + height / 2 - side / 2), photo["height"] - side)
        square = (round(x), round(y), round(x + side), round(y + side))
        crops.append(Crop(images / photo["file_name"], kind, square))
    return crops


def classifier(size: str) -> Any:
    """From normalised pixels (B, 3, H, W) to the scores (B, 1000) of ImageNet's classes."""
    backbone = EfficientNetLite(size).eval().requires_grad_(False)
    fill_backbone(backbone, IMAGENET)
    head = read_state_dict(find_weights(size, IMAGENET))
    norm = tuple(head[f"_bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))

    def scores_of(pixels_BCHW: Tensor) -> Tensor:
        wide_BCHW = functional.conv2d(backbone(pixels_BCHW)[-1], head["_conv_head.weight"])
        mean_BC = functional.relu6(functional.batch_norm(wide_BCHW, *norm, eps=EPS)).mean(dim=(2, 3))
        return functional.linear(mean_BC, head["_fc.weight"], head["_fc.bias"])

    return scores_of


def named_classes(crops: list[Crop], size: str) -> list[list[int]]:
    """The five likeliest classes of each object, the likeliest first."""
    side, scores_of, named = SIDES[size], classifier(size), []
    for crop in crops:
        with Image.open(crop.path) as photo:
            small = photo.convert("RGB").crop(crop.square).resize((side, side), Image.Resampling.BICUBIC)
        pixels_HWC = torch.from_numpy(np.array(small)).float()
        pixels_BCHW = ((pixels_HWC - EfficientNetLite.pixel_mean[0]) / EfficientNetLite.pixel_std[0]).permute(2, 0, 1)[
            None
        ]
        named.append(scores_of(pixels_BCHW)[0].topk(5).indices.tolist())
    return named


def figures_of(crops: list[Crop], named: list[list[int]]) -> dict[str, Any]:
    """How often the first class, and one of five, is of the object's kind; the latter by kind and by chance too."""
    first = [classes[0] in CLASSES[crop.kind] for crop, classes in zip(crops, named, strict=True)]
    five = [bool(set(classes) & set(CLASSES[crop.kind])) for crop, classes in zip(crops, named, strict=True)]
    others = np.random.default_rng(0).permutation(len(crops))
    chance = [bool(set(named[other]) & set(CLASSES[crop.kind])) for crop, other in zip(crops, others, strict=True)]
    by_kind: dict[str, list[bool]] = defaultdict(list)
    for crop, right in zip(crops, five, strict=True):
        by_kind[crop.kind].append(right)
    return {
        "top_1": round(float(np.mean(first)), 4),
        "top_5": round(float(np.mean(five)), 4),
        "chance": round(float(np.mean(chance)), 4),
        "top_5_by_kind": {kind: f"{sum(right)} of {len(right)}" for kind, right in sorted(by_kind.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("instances", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--sizes", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    crops = large_objects(json.loads(words.instances.read_text(encoding="utf-8")), words.images)
    found: dict[str, Any] = {"objects": len(crops), "photos": len({crop.path for crop in crops}), "covered": COVERED}
    for size in words.sizes:
        found[size] = figures_of(crops, named_classes(crops, size))
        print(
            f"{size}: {len(crops)} objects, "
            + ", ".join(f"{key} {found[size][key]:.3f}" for key in ("top_1", "top_5", "chance"))
        )
    if words.json is not None:
        words.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
